"""Cloud hooks from the web UI's document to the receiver: made over GraphQL, called by runs, sent once, in the log."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest

from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.automations.app import Automations
from services.gateway.app import Gateway
from services.gateway.keys import Key, Role, fingerprint
from services.runs.app import Runs
from tests.support.automations import Rules
from tests.support.callers import AsCaller, callers_of
from tests.support.delivering import World, delivering_on, gateway_on
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.ledger import Client, Flow, register_flow, tenant_with_flow
from tests.support.receivers import Receiver, receiver
from tests.support.running import running

# As the form of the web UI sends it.
CREATE = """mutation CreateCloudHook(
    $tenantId: UUID!, $versionGroupId: String, $name: String, $states: [String!]!, $config: JSON,
    $type: cloud_hook_type!
) {
    create_cloud_hook(input: {
        tenant_id: $tenantId, version_group_id: $versionGroupId, name: $name, states: $states, config: $config,
        type: $type
    }) { id }
}"""
TEST = "mutation($i: test_cloud_hook_input!) { test_cloud_hook(input: $i) { success error } }"
TWILIO = {
    "account_sid": "AC0123456789", "auth_token": "0123456789abcdef", "messaging_service_sid": "MG1", "to": ["+1555"],
}  # fmt: skip
PAGERDUTY = {"api_token": "abcdefghijklmnop", "routing_key": "rk0123456789", "severity": "error"}


@pytest.fixture(scope="module")
async def posted_to() -> AsyncIterator[Receiver]:
    """Takes the place of every receiver, also of Twilio's and PagerDuty's."""
    async with receiver() as made:
        yield made


@pytest.fixture(scope="module")
async def automations(
    stack: Stack, ledger: Runs, posted_to: Receiver
) -> AsyncIterator[Automations]:
    """As that of the folder, and it may send to loopback."""
    service = delivering_on(
        stack, twilio_url=posted_to.url, pagerduty_url=f"{posted_to.url}/v2/enqueue"
    )
    async with running(service, ticks=False):
        yield service


@pytest.fixture(scope="module")
async def gateway(stack: Stack, automations: Automations) -> AsyncIterator[Gateway]:
    async with running(gateway_on(stack, auth="required")) as service:
        yield service


@pytest.fixture
async def as_caller(gateway: Gateway) -> AsyncIterator[AsCaller]:
    async with callers_of(gateway) as caller:
        yield caller


@dataclass(frozen=True, slots=True)
class Office:
    """A tenant with an administrator, a flow, and what is sent for it."""

    rules: Rules
    api: Gql
    flow: Flow
    receiver: Receiver

    async def made(self, kind: str = "WEBHOOK", config: Any = None, **fields: Any) -> str:
        """A cloud hook for failed runs of every flow, as the form makes it; its id."""
        given = {"versionGroupId": None, "name": "on failure", "states": ["Failed"]} | fields
        address = {"to": None, "url": f"{self.receiver.url}/{self.rules.tenant_id}"}
        answer = await self.api(
            CREATE, type=kind, config=config or address, tenantId=str(self.rules.tenant_id), **given
        )
        hook_id: str = answer["create_cloud_hook"]["id"]
        return hook_id

    async def do(self, mutation: str, hook_id: str) -> bool:
        """Switch or delete it; whether that was done."""
        text = f'mutation {{ x: {mutation}(input: {{cloud_hook_id: "{hook_id}"}}) {{ success }} }}'
        success: bool = (await self.api(text))["x"]["success"]
        return success

    async def failed(self, flow: Flow | None = None) -> UUID:
        """A run that has failed, after everything was handled."""
        client = self.rules.client
        run_id = await client.start(flow or self.flow)
        await client.set(run_id, {"type": "Failed", "message": "no disk"})
        await self.rules.handled()
        return run_id

    async def sent(self) -> list[Any]:
        """What receivers got, after all that was due was sent."""
        await self.world.deliver()
        return list(self.receiver.received)

    @property
    def world(self) -> World:
        """For its deliveries."""
        return World(
            stack=self.rules.stack,
            service=self.rules.service,
            receiver=self.receiver,
            tenant=self.rules.tenant_id,
        )

    async def log(self) -> list[tuple[str, str | None, int]]:
        """The log of the tenant's deliveries: status, receiver, tries."""
        return [
            (row["status"], row["receiver"], row["attempts"]) for row in await self.rules.owed()
        ]


@pytest.fixture
def opened(
    stack: Stack,
    gateway: Gateway,
    automations: Automations,
    bus: Bus,
    *,
    as_caller: AsCaller,
    posted_to: Receiver,
) -> Callable[[], Awaitable[Office]]:
    """Opens an office for each call."""

    async def one() -> Office:
        flow = await tenant_with_flow(stack.admin_pool, version_group_id=f"group {new_id()}")
        text = f"hw_{new_id()}"
        key = Key(
            id=new_id(),
            tenant_id=flow.tenant_id,
            user_id=new_id(),
            name="k",
            role=Role.TENANT_ADMIN,
            expires_at=None,
        )
        pepper = gateway._settings.pepper
        await gateway._store.create_key(key, fingerprint(text, pepper), created_by=None)
        rules = Rules(stack, automations, Client(bus, flow.tenant_id))
        return Office(rules, await as_caller(text), flow, posted_to)

    return one


@pytest.fixture
async def office(
    stack: Stack, opened: Callable[[], Awaitable[Office]], posted_to: Receiver
) -> Office:
    """The hooks of earlier tests are gone: their histories would be searched, too."""
    await stack.admin_pool.execute(
        "TRUNCATE gateway.cloud_hook, automations.delivery, automations.receiver CASCADE"
    )
    posted_to.received.clear()
    posted_to.answer(200)
    return await opened()


@pytest.fixture
async def other(opened: Callable[[], Awaitable[Office]]) -> Office:
    """Another tenant's."""
    return await opened()


async def test_a_failed_run_calls_a_webhook_once_with_the_body_of_server(office: Office) -> None:
    hook_id = await office.made()

    run_id = await office.failed()
    [got] = await office.sent()
    # As if the event came again, and the histories were searched for it.
    await office.rules.service.upkeep.search_histories(utc_now() + timedelta(minutes=1))
    again = await office.sent()

    event = got.json["event"]
    assert got.headers["x-prefect-event-id"] == event["id"]
    assert (event["type"], event["is_test_event"]) == ("FlowRunStateChange", False)
    assert (event["state"]["state"], event["state"]["message"]) == ("Failed", "no disk")
    assert event["state"]["serialized_state"]["type"] == "Failed"
    assert (event["flow_run"]["id"], event["flow_run"]["state"]) == (str(run_id), "Running")
    assert event["flow_run"]["version"] == event["state"]["version"] - 1
    assert (event["flow"]["id"], event["flow"]["name"]) == (str(office.flow.id), "a flow")
    assert event["tenant"]["id"] == str(office.rules.tenant_id)
    assert again == [got]
    assert await office.log() == [("delivered", "127.0.0.1", 1)]
    [row] = await office.rules.owed()
    assert str(row["cloud_hook_id"]) == hook_id
    [attempt] = await office.world.attempts(row["id"])
    assert (attempt["status"], attempt["answer"]) == (200, "ok")


async def test_slack_twilio_and_pagerduty_get_what_server_sent_them(office: Office) -> None:
    await office.made("SLACK_WEBHOOK")
    await office.made("TWILIO", TWILIO)
    await office.made("PAGERDUTY", PAGERDUTY)

    run_id = await office.failed()

    got = {each.path: each for each in await office.sent()}
    name = await office.world.pool.fetchval("SELECT name FROM runs.flow_run WHERE id = $1", run_id)
    link = f"http://127.0.0.1:4200/{office.rules.tenant_id}/flow-run/{run_id}"
    slack = got.pop(f"/{office.rules.tenant_id}")
    assert [block["text"]["text"] for block in slack.json["blocks"]] == [
        f"Run `{name}` of flow `a flow` entered a new state:",
        "*State:* `Failed`",
        "*Message:* no disk",
        f"*Link:* {link}",
    ]
    twilio = got.pop("/2010-04-01/Accounts/AC0123456789/Messages.json")
    assert parse_qs(twilio.body.decode())["To"] == ["+1555"]
    alert = got.pop("/v2/enqueue").json
    assert alert["routing_key"] == "rk0123456789"
    assert alert["payload"]["summary"] == f"Run {name} entered a new state: Failed"
    assert got == {}
    assert {status for status, _, _ in await office.log()} == {"delivered"}


async def test_a_hook_to_the_inbox_puts_one_message_there(office: Office) -> None:
    await office.made("PREFECT_MESSAGE", {"to": None})

    run_id = await office.failed()
    await office.sent()

    shown = await office.api("{ message { type content read } }")
    [message] = shown["message"]
    assert (message["type"], message["read"]) == ("CLOUD_HOOK", False)
    assert message["content"]["event"]["id"] == str(run_id)
    assert message["content"]["event"]["state"] == "Failed"


async def test_another_tenant_neither_sees_nor_fires_nor_changes_a_hook(
    office: Office, other: Office
) -> None:
    hook_id = await office.made()
    await other.failed()

    seen = await other.api("{ cloud_hook { id } cloud_hook_aggregate { aggregate { count } } }")
    tested = await other.api(TEST, i={"cloud_hook_id": hook_id})
    done = [
        await other.do(mutation, hook_id)
        for mutation in ("set_cloud_hook_inactive", "set_cloud_hook_active", "delete_cloud_hook")
    ]

    assert seen == {"cloud_hook": [], "cloud_hook_aggregate": {"aggregate": {"count": 0}}}
    assert not tested["test_cloud_hook"]["success"]
    assert done == [False] * 3
    assert await office.sent() == []
    await office.failed()
    assert len(await office.sent()) == 1


async def test_a_hook_that_is_off_or_gone_sends_nothing_more_also_of_what_was_owed(
    office: Office,
) -> None:
    off, gone = await office.made(), await office.made()
    await office.failed()
    await office.do("set_cloud_hook_inactive", off)
    await office.do("delete_cloud_hook", gone)
    unsent = await office.sent()
    owed = await office.log()
    await office.failed()
    afterwards = await office.rules.owed()
    await office.do("set_cloud_hook_active", off)
    await office.failed()

    assert unsent == []
    assert owed == [("switched_off", None, 1)] * 2
    # Nobody is told of a failure that they asked for.
    assert (await office.api("{ message { id } }"))["message"] == []
    assert len(afterwards) == 2
    assert len(await office.sent()) == 1


async def test_a_hook_for_a_version_group_hears_of_its_flows_only_and_of_exact_states_only(
    office: Office,
) -> None:
    group = await office.world.pool.fetchval(
        "SELECT version_group_id FROM registry.flow WHERE id = $1", office.flow.id
    )
    await office.made(versionGroupId=group)
    elsewhere = await register_flow(office.world.pool, tenant_id=office.rules.tenant_id)

    await office.failed(elsewhere)
    triggered = await office.rules.client.start(office.flow)
    await office.rules.client.set(triggered, "TriggerFailed")
    run_id = await office.failed()

    [got] = await office.sent()
    assert got.json["event"]["flow_run"]["id"] == str(run_id)
    assert got.json["event"]["flow"]["version_group_id"] == group


async def test_a_lost_event_is_found_in_the_histories_of_a_tenant_with_no_other_rules(
    office: Office,
) -> None:
    await office.made()
    await office.failed()
    # As if JetStream had lost the event.
    await office.world.pool.execute("DELETE FROM automations.delivery")
    newer = await office.made()
    later = utc_now() + timedelta(minutes=1)

    await office.rules.service.upkeep.search_histories(later)
    await office.rules.service.upkeep.search_histories(later + timedelta(minutes=1))

    [row] = await office.rules.owed()
    assert str(row["cloud_hook_id"]) != newer
    assert len(await office.sent()) == 1


async def test_a_test_is_sent_once_and_says_in_its_payload_what_the_receiver_answered(
    office: Office,
) -> None:
    hook_id = await office.made()
    office.rules.service.deliveries.trials.same = timedelta(0)
    await office.do("set_cloud_hook_inactive", hook_id)

    good = await office.api(TEST, i={"cloud_hook_id": hook_id, "state_type": "SUCCESS"})
    office.receiver.answer(500)
    bad = await office.api(TEST, i={"cloud_hook_id": hook_id, "state_type": "FAILED"})

    assert good["test_cloud_hook"] == {"success": True, "error": None}
    assert not bad["test_cloud_hook"]["success"]
    assert "500" in bad["test_cloud_hook"]["error"]
    states = [got.json["event"]["state"]["state"] for got in await office.sent()]
    assert states == ["Success", "Failed"]
    assert all(got.json["event"]["is_test_event"] for got in office.receiver.received)
