"""Hooks that count, hooks that are throttled, and SLAs during a pause, on real engines."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from libs.contracts.automations import UPDATE_HOOK, EventType, SlaKind, UpdateHook
from libs.contracts.base import Applied, Refused
from libs.runtime.clock import utc_now
from services.automations.app import Automations
from services.automations.domain.messages import message_of, values_of
from tests.support.automations import Rules, automations_on
from tests.support.engines import Stack
from tests.support.ledger import Flow, register_flow

THREE = {"times": 3, "within_seconds": 3600}


async def fail(rules: Rules, flow: Flow, times: int) -> None:
    for _ in range(times):
        await rules.client.set(await rules.client.start(flow), "Failed")
    await rules.handled()


async def by_status(rules: Rules) -> dict[str, int]:
    return dict(Counter(row["status"] for row in await rules.owed()))


async def test_a_hook_that_counts_fires_with_each_third_failure_of_one_flow_group(
    rules: Rules, flow: Flow
) -> None:
    other = await register_flow(rules.stack.admin_pool, tenant_id=rules.tenant_id)
    await rules.hook(await rules.action(), "Failed", conditions=THREE)

    await fail(rules, flow, 2)
    await fail(rules, other, 2)
    assert await by_status(rules) == {"counted": 4}
    await fail(rules, flow, 2)

    assert await by_status(rules) == {"counted": 6, "pending": 1}
    [fired] = [row for row in await rules.owed() if row["status"] == "pending"]
    told = [row["event"]["flow_group_id"] for row in await rules.owed() if row["told_in"]]
    assert told == [str(flow.group_id)] * 3
    assert fired["event"]["count"] == 3
    assert fired["event"]["message"].startswith("3 times within 1 h, last: Run ")


async def test_a_hook_may_count_all_flows_together(rules: Rules, flow: Flow) -> None:
    other = await register_flow(rules.stack.admin_pool, tenant_id=rules.tenant_id)
    await rules.hook(await rules.action(), "Failed", conditions=THREE | {"times_per": "hook"})

    await fail(rules, flow, 2)
    await fail(rules, other, 1)

    assert await by_status(rules) == {"counted": 3, "pending": 1}


async def test_two_replicas_count_each_event_once(
    stack: Stack, rules: Rules, flow: Flow, automations: Automations
) -> None:
    """Both handle every event at the same time, as after a lost acknowledgement."""
    await rules.hook(await rules.action(), "Failed", conditions=THREE)
    await rules.client.set(await rules.client.start(flow), "Failed")
    await rules.handled()
    await stack.admin_pool.execute(
        "DELETE FROM automations.delivery WHERE tenant_id = $1", rules.tenant_id
    )
    await fail(rules, flow, 5)
    async with automations_on(stack) as second:
        later = utc_now() + timedelta(minutes=1)
        # The first failure was lost: the search finds it, and the others once more.
        for _ in range(3):
            await asyncio.gather(
                automations.upkeep.search_histories(later), second.upkeep.search_histories(later)
            )

    assert await by_status(rules) == {"counted": 6, "pending": 2}


async def test_what_is_more_than_the_throttle_is_one_message_with_a_count(
    rules: Rules, flow: Flow
) -> None:
    hook = await rules.hook(
        await rules.action(), "Failed", throttle={"times": 2, "within_seconds": 600}
    )

    await fail(rules, flow, 5)
    await fail(rules, flow, 4)

    assert await by_status(rules) == {"pending": 3, "digested": 7}
    rows = await rules.owed()
    [digest] = [row for row in rows if row["event"].get("is_digest")]
    assert {row["told_in"] for row in rows if row["status"] == "digested"} == {digest["id"]}
    assert (digest["hook_id"], digest["event"]["count"]) == (hook, 7)
    assert digest["due"] - digest["created"] == timedelta(minutes=10)
    assert len(digest["event"]["first_names"]) == 5
    assert "and 2 more." in digest["event"]["message"]


async def test_a_thousand_failures_a_minute_are_sixty_posts_to_slack_and_a_digest(
    rules: Rules, flow: Flow
) -> None:
    await rules.hook(
        await rules.action({"slack_notification": {"webhook_url_secret": "S"}}), "Failed"
    )
    runs = [await rules.client.create(flow) for _ in range(1000)]
    for run_id in runs:
        await rules.client.set(run_id, "Failed", by_person=True)
    await rules.handled()

    rows = await rules.owed()
    posts = [row for row in rows if row["status"] == "pending"]
    digests = [row for row in posts if row["event"].get("is_digest")]
    # The machine may take more than one minute for a thousand runs: each begins with sixty more.
    assert len(posts) - len(digests) + sum(row["event"]["count"] for row in digests) == 1000
    assert sum(row["status"] == "digested" for row in rows) == sum(
        row["event"]["count"] for row in digests
    )
    minutes = 1 + (rows[-1]["created"] - rows[0]["created"]) // timedelta(minutes=1)
    assert len(posts) - len(digests) <= 60 * minutes
    text = message_of(
        "Run {flow_run_name}",
        "FlowRunStateChangedEvent",
        values_of("FlowRunStateChangedEvent", digests[0]["event"]),
        limit=3000,
    )
    assert f"{digests[0]['event']['count']:,} more of FlowRunStateChangedEvent" in text


async def test_a_digest_that_is_being_sent_takes_no_more_events(rules: Rules, flow: Flow) -> None:
    await rules.hook(await rules.action(), "Failed", throttle={"times": 1, "within_seconds": 600})
    await fail(rules, flow, 3)
    await rules.stack.admin_pool.execute(
        "UPDATE automations.delivery SET lease = id, leased_until = now() + interval '1 minute'"
        " WHERE tenant_id = $1 AND event ? 'is_digest'",
        rules.tenant_id,
    )

    await fail(rules, flow, 3)

    rows = [row for row in await rules.owed() if row["event"].get("is_digest")]
    assert sorted(row["event"]["count"] for row in rows) == [2, 3]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"throttle": {"times": 0, "within_seconds": 1}}, "throttle.times must be"),
        ({"conditions": {"times": 3}}, "conditions.within_seconds: give both"),
        ({"conditions": {"times_per": "hook"}}, "conditions.times_per says how"),
        ({"conditions": {"mute_while_paused": 1}}, "conditions.mute_while_paused must be"),
    ],
)
async def test_a_wrong_rate_is_refused_with_its_field(
    rules: Rules, fields: dict[str, Any], said: str
) -> None:
    reply = await rules.ask_hook(
        await rules.action(), EventType.STATE_CHANGED, {"state": ["Failed"]}, **fields
    )

    assert isinstance(reply, Refused)
    assert str(reply.fields["reason"]).startswith(said)


async def test_an_sla_that_breaks_during_a_pause_says_so_and_a_hook_may_be_muted_then(
    rules: Rules, flow: Flow
) -> None:
    config = await rules.sla(SlaKind.SCHEDULED_NOT_STARTED, 60, flow)
    muted = await rules.ask_hook(
        await rules.action(),
        EventType.FLOW_SLA_FAILED,
        {"flow_sla_config_id": [str(config)]},
        conditions={"mute_while_paused": True},
    )
    assert isinstance(muted, Applied)
    await rules.stack.admin_pool.execute(
        "UPDATE gateway.tenant SET settings = settings || '{\"work_queue_paused\": true}' WHERE id = $1",
        rules.tenant_id,
    )
    await rules.client.create(flow)
    await rules.handled()

    await rules.service.deadlines.of_runs(utc_now() + timedelta(seconds=70))

    rows = {row["hook_id"]: row for row in await rules.owed()}
    quiet = rows.pop(muted.id)
    [loud] = rows.values()
    assert (quiet["status"], loud["status"]) == ("muted", "pending")
    assert "paused" in quiet["last_error"]
    assert loud["event"]["work_queue_paused"] == "paused"
    assert loud["event"]["message"].endswith("The work queue is paused.")


async def test_an_action_on_runs_has_no_throttle_because_a_digest_names_no_run(
    rules: Rules,
) -> None:
    throttle = {"times": 1, "within_seconds": 60}
    action = await rules.action({"cancel_flow_run": {}})
    hook = await rules.hook(action, "Failed")

    made = await rules.ask_hook(
        action, EventType.STATE_CHANGED, {"state": ["Failed"]}, throttle=throttle
    )
    changed = await rules.ask(
        UPDATE_HOOK,
        UpdateHook(tenant_id=rules.tenant_id, hook_id=hook, changes={"throttle": throttle}),
    )

    for refused in (made, changed):
        assert isinstance(refused, Refused)
        assert "throttle: an action on runs" in refused.fields["reason"]
