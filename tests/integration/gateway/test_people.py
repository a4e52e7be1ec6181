"""Names behind ids: who made a run, set a state or made a key; and that no tenant reads another one's names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.names import ANYBODY
from tests.support.callers import AsCaller, callers_of
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.ledger import Flow, tenant_with_flow
from tests.support.offices import Office, an_office
from tests.support.services import all_services

CREATE_RUN = "mutation($i: create_flow_run_input!) { create_flow_run(input: $i) { id } }"
CREATE_KEY = "mutation($i: create_api_key_input!) { create_api_key(input: $i) { id key } }"
RUN = """query($id: uuid!) { flow_run_by_pk(id: $id) { created_by created_by_name
    states(order_by: {version: asc}) { state actor actor_name } } }"""
PEOPLE = "{ user_view_same_tenant { id username first_name account_type deleted_at } }"


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required") as gateway:
        yield gateway


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    async with callers_of(gateway) as caller:
        yield caller


@pytest.fixture
async def office(gateway: Gateway, stack: Stack, as_caller: AsCaller) -> Office:
    return await an_office(gateway, stack, as_caller, "Alice")


async def a_run(api: Gql, flow: Flow) -> str:
    made = await api(CREATE_RUN, i={"flow_id": str(flow.id)})
    run_id: str = made["create_flow_run"]["id"]
    return run_id


async def a_key(api: Gql, **given: Any) -> dict[str, str]:
    made: dict[str, str] = (await api(CREATE_KEY, i=given))["create_api_key"]
    return made


async def history(api: Gql, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api(RUN, id=run_id))["flow_run_by_pk"]
    return found


async def test_a_run_says_who_made_it_and_who_cancelled_it(
    office: Office, as_caller: AsCaller
) -> None:
    bob = await a_key(office.admin, name="Bob", role="user", user_id=str(new_id()))
    run_id = await a_run(office.admin, office.flow)

    await (await as_caller(bob["key"]))(
        f'mutation {{ cancel_flow_run(input: {{flow_run_id: "{run_id}"}}) {{ state }} }}'
    )

    found = await history(office.admin, run_id)
    assert found["created_by"] == str(office.admin_id)
    assert found["created_by_name"] == "Alice"
    assert [(state["state"], state["actor_name"]) for state in found["states"]] == [
        ("Scheduled", "Alice"),
        ("Cancelled", "Bob"),
    ]


async def test_what_a_bulk_action_and_a_state_set_by_hand_did_has_a_name(office: Office) -> None:
    run_id, other = [await a_run(office.admin, office.flow) for _ in range(2)]

    await office.admin(
        "mutation($i: bulk_flow_runs_input!) { bulk_flow_runs(input: $i) { done } }",
        i={"request_key": str(new_id()), "action": "CANCEL", "ids": [run_id]},
    )
    await office.admin(
        "mutation($i: set_flow_run_states_input!) { set_flow_run_states(input: $i) { states { id } } }",
        i={"states": [{"flow_run_id": other, "state": {"type": "Failed"}, "version": 1}]},
    )

    assert (await history(office.admin, run_id))["states"][-1]["actor_name"] == "Alice"
    assert (await history(office.admin, other))["states"][-1]["actor_name"] == "Alice"


async def test_what_a_process_reports_is_nobodys_act(office: Office, gateway: Gateway) -> None:
    run_id = await a_run(office.admin, office.flow)
    headers = {"authorization": f"Bearer {office.text}", "x-prefect-core-version": "1.4.1"}
    async with Gql(f"http://127.0.0.1:{gateway.port}", headers=headers) as process:
        await process(
            "mutation($i: set_flow_run_states_input!) { set_flow_run_states(input: $i) { states { id } } }",
            i={"states": [{"flow_run_id": run_id, "state": {"type": "Running"}, "version": None}]},
        )

    last = (await history(office.admin, run_id))["states"][-1]
    assert last == {"state": "Running", "actor": None, "actor_name": None}


async def test_lists_of_keys_and_the_trail_name_people_also_when_their_keys_are_gone(
    office: Office, as_caller: AsCaller
) -> None:
    bob_id = new_id()
    bob = await a_key(office.admin, name="Bob", role="tenant_admin", user_id=str(bob_id))
    laptop = await a_key(office.admin, name="laptop", role="tenant_admin", user_id=str(bob_id))
    as_bob = await as_caller(laptop["key"])
    made = await a_key(as_bob, name="by Bob", role="user")
    run_id = await a_run(as_bob, office.flow)
    listed = await office.admin(
        "{ auth_api_key { id name user { id username } created_by { id username } } }"
    )
    for key in (bob, laptop):
        await office.admin(
            f'mutation {{ delete_api_key(input: {{key_id: "{key["id"]}"}}) {{ success }} }}'
        )

    trail = await office.admin(
        "query($o: uuid!) { audit_log(where: {object_id: {_eq: $o}}) { actor actor_name user_id } }",
        o=made["id"],
    )
    found = await history(office.admin, run_id)

    by_id = {key["id"]: key for key in listed["auth_api_key"]}
    assert by_id[laptop["id"]]["user"] == {"id": str(bob_id), "username": "Bob"}
    assert by_id[laptop["id"]]["created_by"]["username"] == "Alice"
    assert by_id[made["id"]]["created_by"]["username"] == "Bob"
    assert trail["audit_log"] == [
        {"actor": f"key:laptop:{laptop['id']}", "actor_name": "Bob", "user_id": str(bob_id)}
    ]
    assert found["created_by_name"] == "Bob"


async def test_a_service_account_ends_with_its_keys_and_keeps_its_name_in_histories(
    office: Office, as_caller: AsCaller
) -> None:
    account = (
        await office.admin('mutation { create_service_account(input: {name: "ci"}) { id } }')
    )["create_service_account"]["id"]
    key = await a_key(office.admin, name="ci 2026", role="user", user_id=account)
    program = await as_caller(key["key"])
    run_id = await a_run(program, office.flow)

    ended = await office.admin(
        f'mutation {{ delete_service_account(input: {{user_id: "{account}"}}) {{ success }} }}'
    )
    again = await office.admin(
        f'mutation {{ delete_service_account(input: {{user_id: "{account}"}}) {{ success error }} }}'
    )
    refused = await program.errors("{ hello }")
    reborn = await office.admin.errors(CREATE_KEY, i={"name": "x", "user_id": account})

    people = (await office.admin(PEOPLE))["user_view_same_tenant"]
    [kept] = [person for person in people if person["id"] == account]
    assert ended["delete_service_account"]["success"] is True
    assert again["delete_service_account"]["success"] is False
    assert account in again["delete_service_account"]["error"]
    assert "revoked" in refused[0]["message"]
    assert "was deleted; make another one" in reborn[0]["message"]
    assert (kept["username"], kept["account_type"]) == ("ci", "SERVICE")
    assert kept["deleted_at"] is not None
    assert (await history(office.admin, run_id))["created_by_name"] == "ci"


async def test_the_last_administrator_cannot_be_deleted_with_its_service_account(
    gateway: Gateway, stack: Stack, office: Office, as_caller: AsCaller
) -> None:
    account = (
        await office.admin('mutation { create_service_account(input: {name: "root"}) { id } }')
    )["create_service_account"]["id"]
    key = await a_key(office.admin, name="root", role="tenant_admin", user_id=account)
    root = await as_caller(key["key"])
    await root(f'mutation {{ delete_api_key(input: {{key_id: "{office.key_id}"}}) {{ success }} }}')

    [error] = await root.errors(
        f'mutation {{ delete_service_account(input: {{user_id: "{account}"}}) {{ success }} }}'
    )

    assert "last" in error["message"]
    assert (await root("{ hello }"))["hello"]


async def test_who_is_renamed_is_called_so_in_histories_too(office: Office) -> None:
    run_id = await a_run(office.admin, office.flow)
    rename = "mutation($i: set_user_name_input!) { set_user_name(input: $i) { success } }"

    await office.admin(rename, i={"user_id": str(office.admin_id), "name": "Alice L."})
    [odd] = await office.admin.errors(
        rename, i={"user_id": str(office.admin_id), "name": "two\nlines"}
    )

    me = (await office.admin("{ user { username first_name account_type } }"))["user"]
    assert (await history(office.admin, run_id))["created_by_name"] == "Alice L."
    assert me == [{"username": "Alice L.", "first_name": "Alice L.", "account_type": "USER"}]
    assert odd["message"].startswith("name must be one line")


async def test_no_tenant_reads_what_another_one_calls_its_people(
    gateway: Gateway, stack: Stack, as_caller: AsCaller, office: Office
) -> None:
    home = await an_office(gateway, stack, as_caller, "Zebediah of the other house")
    invite = "mutation($i: create_membership_input!) { create_membership(input: $i) { id } }"
    whom = {"user_id": str(home.admin_id), "home_tenant_id": str(home.flow.tenant_id)}
    await office.admin(invite, i=whom | {"role": "tenant_admin"})
    entered = await home.admin(
        f'mutation {{ switch_tenant(input: {{tenant_id: "{office.flow.tenant_id}"}}) {{ access_token }} }}'
    )
    guest = await as_caller(entered["switch_tenant"]["access_token"])

    run_id = await a_run(guest, office.flow)
    made = await a_key(guest, name="made by a guest", role="user", user_id=str(new_id()))
    await guest('mutation { set_secret(input: {name: "s", value: "1"}) { success } }')
    read = [
        await office.admin(RUN, id=run_id),
        await office.admin("{ audit_log { actor actor_name user_id message info } }"),
        await office.admin("{ auth_api_key { id name created_by { id username email } } }"),
        await office.admin("{ membership { user { id username } } }"),
        await office.admin(PEOPLE),
    ]

    called = f"guest {str(home.admin_id)[-6:]}"
    by_id = {key["id"]: key for key in read[2]["auth_api_key"]}
    assert "Zebediah" not in json.dumps(read)
    assert read[0]["flow_run_by_pk"]["created_by_name"] == called
    assert by_id[made["id"]]["created_by"]["username"] == called
    assert read[3]["membership"] == [{"user": {"id": str(home.admin_id), "username": called}}]
    # And the other way: the guest's own tenant does not learn what this one calls them.
    await office.admin(invite, i=whom | {"role": "user", "name": "the auditor"})
    assert (await history(office.admin, run_id))["created_by_name"] == "the auditor"
    assert "auditor" not in json.dumps(await home.admin(PEOPLE))
    assert (await home.admin("{ user { username } }"))["user"] == [
        {"username": "Zebediah of the other house"}
    ]


@pytest.mark.parametrize(
    "mutation",
    [
        'set_user_name(input: {user_id: "%s", name: "x"}) { success error }',
        'delete_service_account(input: {user_id: "%s"}) { success error }',
    ],
)
async def test_people_of_others_are_answered_like_nobody(
    gateway: Gateway, stack: Stack, as_caller: AsCaller, office: Office, mutation: str
) -> None:
    other = await an_office(gateway, stack, as_caller, "Of others")
    account = (
        await other.admin('mutation { create_service_account(input: {name: "theirs"}) { id } }')
    )["create_service_account"]["id"]
    nobody = str(new_id())

    answers = [
        json.dumps(await office.admin(f"mutation {{ {mutation % id_} }}")).replace(id_, "ID")
        for id_ in (account, nobody)
    ]

    assert answers[0] == answers[1]
    assert '"success": false' in answers[0]
    theirs = (await other.admin(PEOPLE))["user_view_same_tenant"]
    assert [p["username"] for p in theirs if p["id"] == account] == ["theirs"]


async def test_where_keys_are_off_nobody_is_called_as_a_key_that_is_made_later(
    stack: Stack, gateway: Gateway
) -> None:
    flow = await tenant_with_flow(stack.admin_pool)
    async with all_services(stack, auth="off") as open_gateway:
        headers = {"x-prefect-tenant-id": str(flow.tenant_id)}
        async with Gql(f"http://127.0.0.1:{open_gateway.port}", headers=headers) as anybody:
            run_id = await a_run(anybody, flow)
            made = await a_key(anybody, name="Eve", role="user", user_id=str(ANYBODY))
            found = await history(anybody, run_id)
            listed = (await anybody("{ auth_api_key { id user { id username } } }"))["auth_api_key"]

    assert found["created_by_name"] == "anonymous"
    [eve] = [key for key in listed if key["id"] == made["id"]]
    assert eve["user"]["username"] == "Eve"
    assert eve["user"]["id"] != str(ANYBODY)
