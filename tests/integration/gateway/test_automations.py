"""Automations over GraphQL: the documents of Cloud's web UI, in the order in which it sends them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

NOTHING = "00000000-0000-4000-8000-000000000000"
HOOKS = "{ hook { id created event_type event_tags action { id name action_type action_config } } }"
CREATE_ACTION = "mutation($input: create_action_input!) { create_action(input: $input) { id } }"


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


@pytest.fixture(scope="module")
async def flow_group_id(api: Gql) -> str:
    project = await api('mutation { create_project(input: { name: "automations" }) { id } }')
    made = await api(
        "mutation($flow: JSON!, $project: UUID!) {"
        " create_flow(input: { serialized_flow: $flow, project_id: $project }) { id } }",
        flow=a_flow("watched"),
        project=project["create_project"]["id"],
    )
    found = await api(
        "query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id } }", id=made["create_flow"]["id"]
    )
    group_id: str = found["flow_by_pk"]["flow_group_id"]
    return group_id


async def do(api: Gql, mutation: str, payload: str = "id", /, **given: Any) -> Any:
    text = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {payload} }} }}"
    return (await api(text, input=given))[mutation][payload]


async def an_action(api: Gql, config: dict[str, Any] | None = None, **fields: Any) -> str:
    webhook = {"webhook": {"url": "https://hooks.example.com/x"}}
    action_id: str = await do(api, "create_action", config=config or webhook, **fields)
    return action_id


async def the_hook(api: Gql, hook_id: str) -> dict[str, Any]:
    [found] = [hook for hook in (await api(HOOKS))["hook"] if hook["id"] == hook_id]
    hook: dict[str, Any] = found
    return hook


async def test_a_hook_of_states_is_made_listed_edited_and_deleted(
    api: Gql, flow_group_id: str
) -> None:
    action = await an_action(api, {"cancel_flow_run": {}}, name="cancel that run")
    first = await do(
        api,
        "create_flow_run_state_changed_hook",
        action_id=action,
        states=["Triggerfailed", "Failed"],
        flow_group_ids=[flow_group_id],
    )
    shown = await the_hook(api, first)
    of_flow = await api(
        "query($tags: jsonb!) { hook(where: { event_tags: { _contains: $tags } }) { id } }",
        tags={"flow_group_id": [flow_group_id]},
    )
    # The UI's edit: the new one, then the old one is deleted.
    second = await do(
        api, "create_flow_run_state_changed_hook", action_id=action, states=["Success"]
    )
    gone = await do(api, "delete_hook", "success", hook_id=first)
    edited = await the_hook(api, second)

    assert shown["event_type"] == "FlowRunStateChangedEvent"
    # As they were sent.
    assert shown["event_tags"] == {
        "state": ["Triggerfailed", "Failed"],
        "flow_group_id": [flow_group_id],
    }
    assert shown["action"] == {
        "id": action,
        "name": "cancel that run",
        "action_type": "CancelFlowRunAction",
        "action_config": {},
    }
    assert [hook["id"] for hook in of_flow["hook"]] == [first]
    assert gone
    assert edited["event_tags"] == {"state": ["Success"]}


async def test_a_flow_sla_is_made_in_the_uis_three_steps_and_goes_with_its_hook(
    api: Gql, flow_group_id: str
) -> None:
    config = await api(
        "mutation { create_flow_sla_config(input:"
        " { kind: SCHEDULED_NOT_STARTED, duration_seconds: 60 }) { id } }"
    )
    config_id = config["create_flow_sla_config"]["id"]
    for _ in range(2):
        link = await do(
            api, "create_flow_group_sla", flow_sla_config_id=config_id, flow_group_id=flow_group_id
        )
    action = await an_action(api)
    # One bare string, as scripts send it.
    hook = await do(api, "create_flow_sla_failed_hook", action_id=action, sla_config_ids=config_id)
    by_key = (
        "query($id: uuid!) { flow_sla_config_by_pk(id: $id)"
        " { kind duration_seconds flow_groups { id flow_group_id } } }"
    )
    shown = await api(by_key, id=config_id)
    listed = await the_hook(api, hook)
    await do(api, "delete_hook", "success", hook_id=hook)
    afterwards = await api(by_key, id=config_id)

    assert shown["flow_sla_config_by_pk"] == {
        "kind": "SCHEDULED_NOT_STARTED",
        "duration_seconds": 60,
        "flow_groups": [{"id": link, "flow_group_id": flow_group_id}],
    }
    assert listed["event_tags"] == {"flow_sla_config_id": [config_id]}
    assert afterwards["flow_sla_config_by_pk"] is None


async def test_an_agent_sla_is_made_and_a_config_in_use_stays(api: Gql) -> None:
    config_id = await do(api, "create_agent_config", name="gpus", settings={"a": 1})
    hook = await do(
        api,
        "create_agent_sla_failed_hook",
        action_id=await an_action(api),
        agent_config_ids=[config_id],
    )
    # Now: a sweep takes configs that are gone out of hooks, and deletes a hook for no other.
    listed = await the_hook(api, hook)
    agent = await do(api, "register_agent", type="LocalAgent", agent_config_id=config_id)
    text = (
        "mutation($id: UUID!) { delete_agent_config(input: { agent_config_id: $id }) { success } }"
    )
    [refused] = await api.errors(text, id=config_id)
    renamed = await do(api, "update_agent_config", "success", agent_config_id=config_id, name="big")
    shown = await api(
        "query($id: uuid!) { agent_config_by_pk(id: $id) { name settings agents { id } } }",
        id=config_id,
    )
    await do(api, "delete_agent", "success", agent_id=agent)
    deleted = await do(api, "delete_agent_config", "success", agent_config_id=config_id)

    assert listed["event_tags"] == {"agent_config_id": [config_id]}
    assert refused["message"].startswith("agent_config_id: 1 agents use this config")
    assert renamed
    assert shown["agent_config_by_pk"] == {
        "name": "big",
        "settings": {"a": 1},
        "agents": [{"id": agent}],
    }
    assert deleted


async def test_deleting_an_action_deletes_its_hooks(api: Gql) -> None:
    action = await an_action(api)
    hook = await do(api, "create_flow_run_state_changed_hook", action_id=action, states=["Failed"])

    deleted = await do(api, "delete_action", "success", action_id=action)
    again = await do(api, "delete_action", "error", action_id=action)

    assert deleted
    assert again.startswith(f"This tenant has no action {action}")
    assert hook not in [each["id"] for each in (await api(HOOKS))["hook"]]


async def test_actions_may_share_a_name(api: Gql) -> None:
    first, second = [await an_action(api, name="cancel that run") for _ in range(2)]

    assert first != second


async def test_a_hook_is_named_switched_off_and_given_conditions(api: Gql) -> None:
    hook = await do(
        api,
        "create_flow_run_state_changed_hook",
        action_id=await an_action(api),
        states=["Failed"],
    )
    conditions = {"labels": ["gpu"]}
    changed = await do(
        api,
        "update_hook",
        "success",
        hook_id=hook,
        name="failures",
        is_active=False,
        conditions=conditions,
    )
    by_key = "query($id: uuid!) { hook_by_pk(id: $id) { name is_active conditions } }"
    shown = (await api(by_key, id=hook))["hook_by_pk"]
    await do(api, "update_hook", "success", hook_id=hook, conditions={}, is_active=True)
    lifted = (await api(by_key, id=hook))["hook_by_pk"]
    unknown = await do(api, "update_hook", "error", hook_id=NOTHING, is_active=True)

    assert changed
    assert shown == {
        "name": "failures",
        "is_active": False,
        "conditions": conditions,
    }
    assert lifted == shown | {"is_active": True, "conditions": {}}
    assert unknown.startswith("This tenant has no hook")


async def test_scripts_may_write_a_webhook_inline_with_json_texts(api: Gql) -> None:
    made = await api(
        'mutation { create_action(input: { config: { webhook: { url: "https://hooks.example.com/x",'
        ' payload: "{\\"text\\": \\"{flow_run_name}\\"}", headers: "{\\"X-Id\\": \\"{id}\\"}" } } }) { id } }'
    )
    shown = await api(
        "query($id: uuid!) { action_by_pk(id: $id) { action_config } }",
        id=made["create_action"]["id"],
    )

    assert shown["action_by_pk"]["action_config"] == {
        "url": "https://hooks.example.com/x",
        "payload": {"text": "{flow_run_name}"},
        "headers": {"X-Id": "{id}"},
    }


async def test_a_variable_that_no_event_has_is_warned_about_and_stays(api: Gql) -> None:
    made = await api(
        "mutation($input: create_action_input!) { create_action(input: $input) { id warning } }",
        input={"config": {"webhook": {"url": "https://x.org", "payload": "{state} {stat}"}}},
    )

    assert made["create_action"]["warning"].endswith("as they are written: {stat}")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "config: give exactly one of webhook, "),
        ({"webhook": {"url": "https://x.org"}, "cancel_flow_run": {}}, "not 2 (webhook, cancel"),
        ({"webhook": {"url": "no address"}}, "config.webhook.url must be an address"),
        (
            {"slack_notification": {"webhook_url_secret": "NOT_THERE"}},
            "config.slack_notification.webhook_url_secret: this tenant has no secret 'NOT_THERE'",
        ),
        ({"pause_schedule": {"flow_group_id": NOTHING}}, "config.flow_group_id: this tenant has"),
    ],
)
async def test_a_config_that_could_not_work_is_refused_when_it_is_made(
    api: Gql, config: dict[str, Any], says: str
) -> None:
    [refused] = await api.errors(CREATE_ACTION, input={"config": config})

    assert says in refused["message"]


async def test_nulls_in_a_config_are_as_if_left_out(api: Gql) -> None:
    config = {
        "webhook": None,
        "pagerduty_notification": {
            "routing_key": "r",
            "severity": "error",
            "api_token_secret": None,
        },
    }

    action = await an_action(api, config)

    shown = await api("query($id: uuid!) { action_by_pk(id: $id) { action_config } }", id=action)
    assert shown["action_by_pk"]["action_config"] == {"routing_key": "r", "severity": "error"}


async def test_a_secret_is_named_and_the_address_of_teams_is_never_shown_again(
    stack: Stack, api: Gql
) -> None:
    await do(api, "set_secret", "success", name="SLACK_URL", value="https://hooks.slack.com/abc")
    named = await an_action(api, {"slack_notification": {"webhook_url_secret": "SLACK_URL"}})
    address = "https://teams.example.com/webhook/verysecret"
    sealed = await an_action(
        api, {"teams_webhook_notification": {"webhook_url_secret": address, "message": "m"}}
    )
    shown = {
        each["id"]: each["action_config"]
        for each in (await api("{ action { id action_config } }"))["action"]
    }
    row = await stack.admin_pool.fetchrow(
        "SELECT a::text AS whole, sealed FROM automations.action a WHERE id = $1", sealed
    )

    assert shown[named] == {"webhook_url_secret": "SLACK_URL"}
    assert shown[sealed] == {
        "webhook_url_secret": "https://teams.example.com/... (sealed)",
        "message": "m",
    }
    assert row is not None
    assert "verysecret" not in row["whole"]
    assert row["sealed"]


@pytest.mark.parametrize(
    ("mutation", "given", "says"),
    [
        ("create_flow_sla_config", {"kind": "NEVER", "duration_seconds": 1}, "kind must be"),
        (
            "create_flow_sla_config",
            {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 0},
            "duration_seconds must be from 1 to",
        ),
        (
            "create_flow_group_sla",
            {"flow_sla_config_id": NOTHING, "flow_group_id": NOTHING},
            "flow_sla_config_id: this tenant has no SLA config",
        ),
        (
            "create_flow_run_state_changed_hook",
            {"action_id": NOTHING, "states": ["Failed"]},
            "action_id: this tenant has no action",
        ),
        (
            "create_flow_run_state_changed_hook",
            {"action_id": NOTHING, "states": ["Brokn"]},
            "states: 'Brokn' is not a state",
        ),
        ("create_flow_sla_failed_hook", {"action_id": NOTHING}, "sla_config_ids: name at least"),
        ("create_agent_config", {"settings": [1]}, "settings must be an object"),
    ],
)
async def test_what_could_never_fire_is_refused_by_the_name_of_the_field(
    api: Gql, mutation: str, given: dict[str, Any], says: str
) -> None:
    text = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ id }} }}"

    [refused] = await api.errors(text, input=given)

    assert says in refused["message"]
