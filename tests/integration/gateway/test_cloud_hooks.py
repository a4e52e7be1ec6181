"""Cloud hooks over GraphQL, in the documents of the old web UI; their secrets are hidden."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.store import CloudHookChanges, Store
from tests.support.callers import AsCaller, callers_of
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services

FIRST = "hw_first-key-of-the-hooks"
CREATE = "mutation($input: create_cloud_hook_input!) { create_cloud_hook(input: $input) { id } }"
# With variables, as the form sends it.
CREATE_AS_THE_UI = """mutation CreateCloudHook(
    $tenantId: UUID!, $versionGroupId: String, $name: String, $states: [String!]!, $config: JSON,
    $type: cloud_hook_type!
) {
    create_cloud_hook(input: {
        tenant_id: $tenantId, version_group_id: $versionGroupId, name: $name, states: $states, config: $config,
        type: $type
    }) { id }
}"""
LIST = """query CloudHooks($where: cloud_hook_bool_exp) {
    cloud_hook(where: $where) { id active config created name states tenant_id type updated version_group_id }
}"""
SLACK = "https://hooks.slack.com/services/T0/B0/abcdefghijklmnop1234"
NO_ADDRESS = "Invalid config; url must begin with http:// or https:// and name a host"
SHOWN = "https://hooks.slack.com/services/T0/B0/********1234"
TWILIO = {
    "account_sid": "AC0123456789", "auth_token": "0123456789abcdef", "messaging_service_sid": "MG1", "to": ["+1555"],
}  # fmt: skip
PAGERDUTY = {"api_token": "abcdefghijklmnop", "routing_key": "short", "severity": "error"}


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required", bootstrap_key=FIRST) as gateway:
        yield gateway


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    async with callers_of(gateway) as caller:
        yield caller


@pytest.fixture
async def admin(stack: Stack, as_caller: AsCaller) -> Gql:
    await stack.admin_pool.execute("TRUNCATE gateway.cloud_hook, gateway.former_cloud_hook")
    return await as_caller(FIRST)


async def made(api: Gql, kind: str, config: Any, **fields: Any) -> str:
    given = {"type": kind, "config": config, "states": ["Failed"], **fields}
    hook_id: str = (await api(CREATE, input=given))["create_cloud_hook"]["id"]
    return hook_id


async def shown(api: Gql, hook_id: str) -> dict[str, Any]:
    [hook] = (await api(LIST, where={"id": {"_eq": hook_id}}))["cloud_hook"]
    config: dict[str, Any] = hook["config"]
    return config


async def stored(stack: Stack, hook_id: str) -> Any:
    return await stack.admin_pool.fetchval(
        "SELECT config FROM gateway.cloud_hook WHERE id = $1", UUID(hook_id)
    )


async def test_the_form_of_the_web_ui_makes_a_hook_and_finds_it_by_its_search(
    stack: Stack, admin: Gql
) -> None:
    tenant_id = (await admin("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]
    made_id = await admin(
        CREATE_AS_THE_UI, tenantId=tenant_id, versionGroupId="group of x", name="To all",
        states=["Failed", "FAILED", "TriggerFailed"], type="WEBHOOK",
        config={"to": None, "url": "http://0.0.0.0:8100/hook"},
    )  # fmt: skip

    search = {"_ilike": "%to al%"}
    found = await admin(LIST, where={"_or": [{"name": search}, {"type": {"_ilike": "%nothing%"}}]})

    [hook] = found["cloud_hook"]
    assert {key: hook[key] for key in hook if key not in ("created", "updated")} == {
        "id": made_id["create_cloud_hook"]["id"],
        "active": True,
        "config": {"url": "http://0.0.0.0:8100/hook"},
        "name": "To all",
        "states": ["FAILED", "TRIGGERFAILED"],
        "tenant_id": tenant_id,
        "type": "WEBHOOK",
        "version_group_id": "group of x",
    }


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        ("SLACK_WEBHOOK", {"url": SLACK}, {"url": SHOWN}),
        (
            "WEBHOOK",
            {"url": "https://me:secret@long-name-of-a-host.example.org/hook?token=abcdefghijkl9876&x=1"},
            {"url": "https://********@long-name-of-a-host.example.org/hook?token=********9876&x=1"},
        ),
        ("TWILIO", TWILIO, {**TWILIO, "auth_token": "********cdef"}),
        ("PAGERDUTY", PAGERDUTY, {**PAGERDUTY, "api_token": "********mnop", "routing_key": "********"}),
        ("EMAIL", {"to": "a@x.org, b@x.org"}, {"to": "a@x.org, b@x.org"}),
        ("PREFECT_MESSAGE", None, {}),
    ],
)  # fmt: skip
async def test_what_can_be_read_hides_secrets_but_for_four_characters(
    stack: Stack, admin: Gql, kind: str, config: Any, expected: dict[str, Any]
) -> None:
    hook_id = await made(admin, kind, config)

    assert await shown(admin, hook_id) == expected
    assert await stored(stack, hook_id) == (config or {})


async def test_no_condition_finds_out_what_the_answer_hides(admin: Gql) -> None:
    await made(admin, "SLACK_WEBHOOK", {"url": SLACK})

    hidden = await admin(LIST, where={"config": {"_contains": {"url": SLACK}}})
    visible = await admin(LIST, where={"config": {"_contains": {"url": SHOWN}}})

    assert hidden["cloud_hook"] == []
    assert len(visible["cloud_hook"]) == 1


async def test_an_edit_of_the_web_ui_keeps_the_secret_that_it_only_saw_hidden(
    stack: Stack, admin: Gql
) -> None:
    """It deletes the hook first, and then makes another one with what it had read."""
    hook_id = await made(admin, "TWILIO", TWILIO)
    read = await shown(admin, hook_id)
    await admin(
        f'mutation {{ delete_cloud_hook(input: {{cloud_hook_id: "{hook_id}"}}) {{ success }} }}'
    )

    edited = await made(admin, "TWILIO", {**read, "to": ["+1777"]}, states=["Success"])

    assert await stored(stack, edited) == {**TWILIO, "to": ["+1777"]}


async def test_a_hidden_value_of_another_tenant_or_of_none_is_refused_by_its_name(
    stack: Stack, admin: Gql
) -> None:
    await stack.admin_pool.execute(
        "INSERT INTO gateway.cloud_hook (id, tenant_id, type, config) VALUES ($1, $2, 'SLACK_WEBHOOK', $3)",
        new_id(), new_id(), {"url": SLACK},
    )  # fmt: skip

    [error] = await admin.errors(
        CREATE, input={"type": "SLACK_WEBHOOK", "config": {"url": SHOWN}, "states": ["Failed"]}
    )

    assert error["message"] == (
        f"config.url is hidden ({SHOWN}) and no hook of this type has it: enter the whole value"
    )


async def test_what_a_deleted_hook_had_is_forgotten_after_an_hour(
    stack: Stack, gateway: Gateway, admin: Gql
) -> None:
    hook_id = await made(admin, "SLACK_WEBHOOK", {"url": SLACK})
    await admin(
        f'mutation {{ delete_cloud_hook(input: {{cloud_hook_id: "{hook_id}"}}) {{ success }} }}'
    )
    store: Store = gateway._store

    async def kept() -> list[str]:
        rows = await stack.admin_pool.fetch("SELECT id FROM gateway.former_cloud_hook")
        return [str(row["id"]) for row in rows]

    await store.forget_former_hooks()
    within = await kept()
    await stack.admin_pool.execute(
        "UPDATE gateway.former_cloud_hook SET deleted = now() - interval '61 minutes'"
    )
    await store.forget_former_hooks()

    assert (within, await kept()) == ([hook_id], [])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"states": []}, "Invalid states: name at least one"),
        ({"config": {"uri": "x"}}, "Invalid config; expected `url`"),
        ({"config": [1]}, "config must be a JSON object"),
        ({"config": {"url": "https://x.org/\u0000"}}, "input.config.url cannot hold the character U+0000."),
        ({"config": {"url": "ftp://x.org"}}, NO_ADDRESS),
        ({"name": "n" * 256}, "name must be a text of at most 255 characters"),
    ],
)  # fmt: skip
async def test_what_cannot_be_a_hook_is_refused_with_the_fields_name_and_leaves_nothing(
    stack: Stack, admin: Gql, given: dict[str, Any], message: str
) -> None:
    whole = {"type": "WEBHOOK", "config": {"url": "https://x.org"}, "states": ["Failed"]}

    [error] = await admin.errors(CREATE, input={**whole, **given})

    assert error["message"] == message
    assert await stack.admin_pool.fetchval("SELECT count(*) FROM gateway.cloud_hook") == 0


async def test_a_hook_is_switched_off_and_on_and_deleted_and_an_unknown_one_is_not(
    stack: Stack, admin: Gql
) -> None:
    hook_id, foreign = await made(admin, "WEBHOOK", {"url": "https://x.org"}), new_id()
    await stack.admin_pool.execute(
        "INSERT INTO gateway.cloud_hook (id, tenant_id, type) VALUES ($1, $2, 'WEBHOOK')",
        foreign, new_id(),
    )  # fmt: skip

    async def done(mutation: str, id_: object) -> bool:
        answer = await admin(
            f'mutation {{ x: {mutation}(input: {{cloud_hook_id: "{id_}"}}) {{ success }} }}'
        )
        success: bool = answer["x"]["success"]
        return success

    async def active() -> bool:
        [hook] = (await admin(LIST))["cloud_hook"]
        is_active: bool = hook["active"]
        return is_active

    off = await done("set_cloud_hook_inactive", hook_id), await active()
    on = await done("set_cloud_hook_active", hook_id), await active()
    others = [
        await done(mutation, foreign)
        for mutation in ("set_cloud_hook_inactive", "set_cloud_hook_active", "delete_cloud_hook")
    ]
    deleted = await done("delete_cloud_hook", hook_id), await done("delete_cloud_hook", hook_id)

    assert (off, on, others, deleted) == ((True, False), (True, True), [False] * 3, (True, False))
    assert await stack.admin_pool.fetchval("SELECT id FROM gateway.cloud_hook") == foreign


async def update(api: Gql, hook_id: str, **given: Any) -> dict[str, Any]:
    answer = await api(
        "mutation($i: update_cloud_hook_input!) { update_cloud_hook(input: $i) { success error } }",
        i={"cloud_hook_id": hook_id, **given},
    )
    payload: dict[str, Any] = answer["update_cloud_hook"]
    return payload


async def test_a_hook_is_changed_in_its_place_and_what_is_left_out_stays(
    stack: Stack, admin: Gql
) -> None:
    hook_id = await made(admin, "TWILIO", TWILIO, name="first", version_group_id="a group")
    read = await shown(admin, hook_id)

    renamed = await update(admin, hook_id, name="second", version_group_id="")
    changed = await update(admin, hook_id, states=["Success"], config={**read, "to": ["+1777"]})

    [hook] = (await admin(LIST, where={"id": {"_eq": hook_id}}))["cloud_hook"]
    assert renamed == changed == {"success": True, "error": None}
    assert (hook["name"], hook["states"], hook["version_group_id"]) == ("second", ["SUCCESS"], None)
    assert await stored(stack, hook_id) == {**TWILIO, "to": ["+1777"]}


async def test_a_hidden_value_of_two_hooks_stays_what_it_is_in_the_one_that_is_changed(
    stack: Stack, admin: Gql
) -> None:
    """Both are shown alike, so another hook could not say which of them is meant."""
    first = await made(admin, "SLACK_WEBHOOK", {"url": SLACK})
    other = SLACK.replace("abcdefgh", "ABCDEFGH")
    await made(admin, "SLACK_WEBHOOK", {"url": other})

    await update(admin, first, config={"url": SHOWN})

    assert await stored(stack, first) == {"url": SLACK}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "update_cloud_hook: give one of name, states, config, version_group_id"),
        ({"states": ["Broken"]}, "Invalid states: 'BROKEN' is not a state"),
        ({"config": {"uri": "x"}}, "Invalid config; expected `url`"),
        ({"name": "n" * 256}, "name must be a text of at most 255 characters"),
    ],
)
async def test_a_change_that_is_refused_leaves_the_hook_as_it_was(
    stack: Stack, admin: Gql, given: dict[str, Any], message: str
) -> None:
    hook_id = await made(admin, "SLACK_WEBHOOK", {"url": SLACK})

    [error] = await admin.errors(
        "mutation($i: update_cloud_hook_input!) { update_cloud_hook(input: $i) { success } }",
        i={"cloud_hook_id": hook_id, **given},
    )

    assert error["message"].startswith(message)
    assert await stored(stack, hook_id) == {"url": SLACK}


async def test_a_change_of_what_somebody_else_has_changed_since_is_not_written(
    stack: Stack, gateway: Gateway, admin: Gql
) -> None:
    hook_id = UUID(await made(admin, "SLACK_WEBHOOK", {"url": SLACK}))
    tenant_id = (await admin("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]
    changes = CloudHookChanges(
        name=None,
        states=None,
        config={"url": "https://mine.example.org"},
        version_group_id=None,
        seen={"url": "https://before.example.org"},
    )

    written = await gateway._store.update_cloud_hook(UUID(tenant_id), hook_id, changes)

    assert not written
    assert await stored(stack, str(hook_id)) == {"url": SLACK}


async def test_a_test_of_an_unknown_hook_fails_in_the_payload(admin: Gql) -> None:
    nobody = new_id()

    answer = await admin(
        "mutation($i: test_cloud_hook_input!) { test_cloud_hook(input: $i) { success error } }",
        i={"cloud_hook_id": str(nobody), "state_type": "SUCCESS"},
    )

    assert answer["test_cloud_hook"] == {
        "success": False,
        "error": f"Invalid ID: there is no cloud hook {nobody}.",
    }
