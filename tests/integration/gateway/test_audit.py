"""The audit trail: who changed what, opened which secret, was refused; and keys end with what gave them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from deploy import keys as desk
from services.gateway.app import Gateway
from services.gateway.keys import Key, Role, fingerprint
from tests.support.callers import AsCaller, callers_of
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.services import PEPPER, all_services

FIRST = "hw_first-key-of-the-trail"
CREATE_KEY = "mutation($i: create_api_key_input!) { create_api_key(input: $i) { id key } }"


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required", bootstrap_key=FIRST) as gateway:
        yield gateway


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    async with callers_of(gateway) as caller:
        yield caller


@pytest.fixture
async def admin(as_caller: AsCaller) -> Gql:
    return await as_caller(FIRST)


async def a_key(api: Gql, role: str, name: str) -> tuple[str, str]:
    made = (await api(CREATE_KEY, i={"name": name, "role": role}))["create_api_key"]
    return made["id"], made["key"]


async def trail(admin: Gql, message: str) -> list[dict[str, Any]]:
    found = await admin(
        "query($m: String!) { audit_log(where: {message: {_eq: $m}}, order_by: {timestamp: asc}) {"
        " actor object_id info } }",
        m=message,
    )
    lines: list[dict[str, Any]] = found["audit_log"]
    return lines


async def test_secrets_and_pairs_are_named_in_the_trail_and_their_values_are_not(
    stack: Stack, admin: Gql, as_caller: AsCaller
) -> None:
    agent_id, text = await a_key(admin, "agent", "runner of the trail")
    agent = await as_caller(text)
    await admin('mutation { set_secret(input: {name: "db", value: "\\"hunter2\\""}) { success } }')
    made = await agent(
        'mutation { set_key_value(input: {key: "k", value: "\\"hunter2\\""}) { id } }'
    )
    pair_id = made["set_key_value"]["id"]

    assert await agent('{ secret_value(name: "db") }') == {"secret_value": "hunter2"}
    await agent(
        f'mutation {{ delete_key_value(input: {{key_value_id: "{pair_id}"}}) {{ success }} }}'
    )
    await admin('mutation { delete_secret(input: {name: "db"}) { success } }')

    by_agent = f"key:runner of the trail:{agent_id}"
    [written] = await trail(admin, "set_secret")
    assert written["info"] == {"name": "db"}
    assert await trail(admin, "secret_value") == [
        {"actor": by_agent, "object_id": None, "info": {"name": "db"}}
    ]
    assert await trail(admin, "set_key_value") == [
        {"actor": by_agent, "object_id": pair_id, "info": {"key": "k"}}
    ]
    assert await trail(admin, "delete_key_value") == [
        {"actor": by_agent, "object_id": pair_id, "info": {"key": "k"}}
    ]
    [gone] = await trail(admin, "delete_secret")
    assert gone["info"] == {"name": "db"}
    whole = await stack.admin_pool.fetchval(
        "SELECT string_agg(l::text, '') FROM gateway.audit_log l"
    )
    assert "hunter2" not in whole


async def test_whoever_tries_what_they_may_not_is_in_the_trail_once_a_minute(
    admin: Gql, as_caller: AsCaller
) -> None:
    reader_id, text = await a_key(admin, "read_only", "curious")
    reader = await as_caller(text)
    tries = {
        "delete_tenant": (
            f'mutation {{ delete_tenant(input: {{tenant_id: "{UUID(int=7)}", confirm: true}})'
            " { success } }"
        ),
        "set_secret": 'mutation { set_secret(input: {name: "mine", value: "1"}) { success } }',
        "create_flow_run": f'mutation {{ create_flow_run(input: {{flow_id: "{UUID(int=7)}"}}) {{ id }} }}',
        "secret_value": '{ secret_value(name: "db") }',
        "auth_api_key": "{ auth_api_key { id } }",
        "audit_log": "{ audit_log { id } }",
    }

    for document in tries.values():
        for _ in range(3):
            assert "Unauthorized" in (await reader.errors(document))[0]["message"]

    lines = {what: await trail(admin, f"{what} refused") for what in tries}
    assert {what: [line["actor"] for line in found] for what, found in lines.items()} == {
        what: [f"key:curious:{reader_id}"] for what in tries
    }
    assert lines["set_secret"][0]["info"] == {"name": "mine", "times": "1"}
    assert lines["delete_tenant"][0]["info"]["tenant_id"] == str(UUID(int=7))


async def test_a_foreign_tenant_that_was_named_is_in_the_trail(admin: Gql) -> None:
    document = (
        f'mutation {{ create_project(input: {{name: "x", tenant_id: "{UUID(int=8)}"}}) {{ id }} }}'
    )

    [error] = await admin.errors(document)

    assert error["message"].startswith(
        "Unauthorized: permission error: tenant_id is not the tenant"
    )
    [line] = await trail(admin, "create_project refused")
    assert line["info"] == {"name": "x", "tenant_id": str(UUID(int=8)), "times": "1"}


async def guest_of(gateway: Gateway, slug: str, text: str) -> tuple[UUID, UUID]:
    """A tenant, and the user of its one key."""
    tenant_id = await gateway._store.create_tenant(gateway.ids(), name=slug, slug=slug)
    assert isinstance(tenant_id, UUID)
    key = Key(
        id=gateway.ids(),
        tenant_id=tenant_id,
        user_id=gateway.ids(),
        name="guest",
        role=Role.TENANT_ADMIN,
        expires_at=None,
    )
    await gateway._store.create_key(
        key, fingerprint(text, gateway._settings.pepper), created_by=None
    )
    return tenant_id, key.user_id


async def entered(as_caller: AsCaller, text: str, tenant_id: str) -> Gql:
    """The guest, inside the tenant."""
    outside = await as_caller(text)
    switch = "mutation($t: UUID!) { switch_tenant(input: {tenant_id: $t}) { access_token } }"

    async def token() -> str:
        answer = (await outside.post({"query": switch, "variables": {"t": tenant_id}})).json()
        given: str = answer["data"]["switch_tenant"]["access_token"]
        return given

    # A key's memberships are read once a second.
    return await as_caller(await eventually(token))


@pytest.mark.parametrize("end", ["membership", "lower role", "home tenant"])
async def test_keys_that_a_guest_made_end_with_what_let_the_guest_in(
    gateway: Gateway, admin: Gql, as_caller: AsCaller, end: str
) -> None:
    slug = f"guests-{end.replace(' ', '-')}"
    guests, guest_id = await guest_of(gateway, slug, f"hw_{slug}")
    home = (await admin("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]
    invite = "mutation($i: create_membership_input!) { create_membership(input: $i) { id } }"
    invited = {"user_id": str(guest_id), "home_tenant_id": str(guests)}
    made = await admin(invite, i=invited | {"role": "tenant_admin"})
    inside = await entered(as_caller, f"hw_{slug}", home)
    _, theirs = await a_key(inside, "tenant_admin", "left behind")
    _, of_theirs = await a_key(await as_caller(theirs), "tenant_admin", "and another")
    _, harmless = await a_key(inside, "read_only", "to read")
    _, ours = await a_key(admin, "tenant_admin", "ours")
    callers = {
        name: await as_caller(text)
        for name, text in (
            ("theirs", theirs), ("of theirs", of_theirs), ("harmless", harmless), ("ours", ours),
        )
    }  # fmt: skip
    assert all([await caller("{ hello }") for caller in callers.values()])

    if end == "membership":
        membership_id = made["create_membership"]["id"]
        await admin(
            f'mutation {{ delete_membership(input: {{membership_id: "{membership_id}"}}) {{ success }} }}'
        )
    elif end == "lower role":
        await admin(invite, i=invited | {"role": "user"})
    else:
        at_home = await as_caller(f"hw_{slug}")
        await at_home(
            f'mutation {{ delete_tenant(input: {{tenant_id: "{guests}", confirm: true}}) {{ success }} }}'
        )

    answers = {
        name: "UNAUTHENTICATED" in (await caller.post({"query": "{ hello }"})).text
        for name, caller in callers.items()
    }
    assert answers == {
        "theirs": True,
        "of theirs": True,
        "harmless": end != "lower role",
        "ours": False,
    }


def desk_of(stack: Stack) -> desk.Access:
    return desk.Access(postgres_url=stack.postgres_url("gateway"), pepper=PEPPER.encode())


async def command(stack: Stack, *words: str) -> list[str]:
    answer = await desk.run(desk_of(stack), desk.parser().parse_args(words))
    return answer.lines


async def test_the_last_administrators_key_is_revoked_on_the_machine_only(
    stack: Stack, gateway: Gateway, as_caller: AsCaller
) -> None:
    lines = await command(stack, "create-tenant", "Lonely", "lonely")
    text, key_id = lines[0], lines[1].split()[1].rstrip(":")
    lonely = await as_caller(text)
    revoke = f'mutation {{ delete_api_key(input: {{key_id: "{key_id}"}}) {{ success }} }}'

    [refused] = await lonely.errors(revoke)
    still = await lonely("{ tenant { slug } }")
    said = await command(stack, "revoke", "--tenant", "lonely", key_id)

    async def is_out() -> bool:
        return "UNAUTHENTICATED" in (await lonely.post({"query": "{ hello }"})).text

    assert "last key of an administrator" in refused["message"]
    assert still == {"tenant": [{"slug": "lonely"}]}
    assert said == [f"key {key_id} is revoked; gateways refuse it within a second"]
    await eventually(is_out)

    # And the way back.
    [back, _] = await command(
        stack, "create", "--tenant", "lonely", "--role", "tenant_admin", "--name", "by hand"
    )
    returned = await as_caller(back)
    done = await returned("{ audit_log(order_by: {timestamp: asc}) { actor message } }")
    assert [line["message"] for line in done["audit_log"]] == [
        "create_tenant", "create_api_key", "delete_api_key", "create_api_key",
    ]  # fmt: skip
    assert {line["actor"].partition(":")[0] for line in done["audit_log"]} == {"machine"}


async def test_of_two_administrators_who_revoke_each_other_at_once_one_remains(
    stack: Stack, gateway: Gateway
) -> None:
    for round_ in range(5):
        slug = f"two-{round_}"
        tenant_id, _ = await guest_of(gateway, slug, f"hw_{slug}-a")
        both = [(await gateway._store.keys(tenant_id))[0].key.id]
        lines = await command(
            stack, "create", "--tenant", slug, "--role", "tenant_admin", "--name", "b"
        )
        both.append(UUID(lines[1].split()[1].rstrip(":")))

        answers = await asyncio.gather(
            *(gateway._store.revoke_key(tenant_id, key_id) for key_id in both)
        )

        assert sorted(answer is True for answer in answers) == [False, True]
        assert len(await gateway._store.keys(tenant_id)) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["list", "--tenant", "nowhere"], "there is no tenant nowhere; there are"),
        (["create", "--tenant", "default", "--name", "a\nb"], "--name must be one line"),
        (["create-tenant", "x", "Not A Slug"], "slugified"),
        (["create-tenant", "x", "default"], "another tenant has the slug default"),
        (["revoke", "--tenant", "default", str(UUID(int=9))], "no key"),
    ],
)
async def test_what_the_command_cannot_do_it_says(
    stack: Stack, gateway: Gateway, words: list[str], says: str
) -> None:
    with pytest.raises(desk.KeysError, match=says):
        await command(stack, *words)


async def test_the_command_lists_tenants_and_keys_without_their_texts(
    stack: Stack, gateway: Gateway
) -> None:
    tenants = await command(stack, "tenants")
    keys = await command(stack, "list", "--tenant", "default")

    assert any("default" in line for line in tenants)
    assert any(line.endswith("first") and "tenant_admin" in line for line in keys)
    assert FIRST not in "".join(keys)


def test_the_command_says_which_variables_it_needs() -> None:
    with pytest.raises(desk.KeysError, match="HEADWATER_POSTGRES_URL and HEADWATER_KEY_PEPPER"):
        desk.access_of({})
