"""SLAs of runs and of agents, on real engines. Tests pass the time at which deadlines are judged."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.automations import EventType, SlaKind
from libs.contracts.base import Applied
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.automations.app import Automations
from tests.support.automations import Rules, automations_on, gateways_were_always_heard
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Flow

MINUTE = timedelta(minutes=1)


def after(start: datetime, seconds: float) -> datetime:
    return start + timedelta(seconds=seconds)


async def broken(rules: Rules) -> list[str]:
    """The runs whose SLAs were broken, once for each event."""
    return [row["event"]["flow_run_id"] for row in await rules.owed()]


async def planned(rules: Rules, count: int) -> None:
    """Until so many deadlines are planned and open."""

    async def there() -> bool:
        found = await rules.stack.admin_pool.fetchval(
            "SELECT count(*) FROM automations.sla_deadline WHERE tenant_id = $1 AND fired IS NULL",
            rules.tenant_id,
        )
        return bool(found == count)

    await eventually(there, timeout=60)


async def test_a_run_that_is_submitted_in_time_is_not_late(
    rules: Rules, automations: Automations, flow: Flow
) -> None:
    await rules.sla(SlaKind.SCHEDULED_NOT_STARTED, 60, flow)
    start = utc_now()
    run_id = await rules.client.create(flow, scheduled_start_time=start)
    await planned(rules, 1)
    await rules.client.set(run_id, "Submitted")

    missed = await automations.deadlines.of_runs(after(start, 61))

    assert (missed, await broken(rules)) == (0, [])


async def test_a_late_run_is_told_once_by_three_replicas_at_once(
    stack: Stack, rules: Rules, automations: Automations, flow: Flow
) -> None:
    config = await rules.sla(SlaKind.SCHEDULED_NOT_STARTED, 60, flow)
    start = utc_now()
    run_id = await rules.client.create(flow, scheduled_start_time=start)
    await planned(rules, 1)
    async with automations_on(stack) as second, automations_on(stack) as third:
        replicas = (automations, second, third)
        early = [await each.deadlines.of_runs(after(start, 59)) for each in replicas]

        late = await asyncio.gather(*(e.deadlines.of_runs(after(start, 61)) for e in replicas))
        again = [await each.deadlines.of_runs(after(start, 3600)) for each in replicas]

    [row] = await rules.owed()
    event = row["event"]
    assert (early, sum(late), again) == ([0, 0, 0], 1, [0, 0, 0])
    assert (event["flow_run_id"], event["state"]) == (str(run_id), "Scheduled")
    assert (event["kind"], event["flow_sla_type"]) == ("SCHEDULED_NOT_STARTED",) * 2
    assert (event["duration_seconds"], event["duration"]) == (60, 60)
    assert event["message"] == (
        f"Run {event['flow_run_name']} ({run_id}) of flow a flow failed SCHEDULED_NOT_STARTED SLA ({config}) after 60"
        f" seconds. See {event['flow_run_link']} for more details."
    )


async def test_a_run_that_is_scheduled_anew_may_be_late_once_more(
    rules: Rules, automations: Automations, flow: Flow
) -> None:
    await rules.sla(SlaKind.SCHEDULED_NOT_STARTED, 60, flow)
    start = utc_now()
    run_id = await rules.client.create(flow, scheduled_start_time=start)
    await planned(rules, 1)
    await automations.deadlines.of_runs(after(start, 61))
    anew = {"type": "Scheduled", "start_time": after(start, 600).isoformat()}
    await rules.client.set(run_id, anew, by_person=True)
    await planned(rules, 1)

    before = await automations.deadlines.of_runs(after(start, 659))
    second = await automations.deadlines.of_runs(after(start, 661))

    assert (before, second) == (0, 1)
    assert await broken(rules) == [str(run_id)] * 2


async def test_a_run_that_does_not_finish_in_time_is_told_once(
    rules: Rules, automations: Automations, flow: Flow
) -> None:
    await rules.sla(SlaKind.STARTED_NOT_FINISHED, 60, flow)
    start = utc_now()
    run_id = await rules.client.start(flow)
    in_time = await rules.client.start(flow)
    await planned(rules, 2)
    await rules.client.set(in_time, "Success")

    missed = await automations.deadlines.of_runs(after(start, 300))
    again = await automations.deadlines.of_runs(after(start, 600))

    assert (missed, again) == (1, 0)
    assert await broken(rules) == [str(run_id)]


async def test_a_run_that_is_just_being_moved_is_judged_when_it_has_moved(
    stack: Stack, rules: Rules, automations: Automations, flow: Flow
) -> None:
    await rules.sla(SlaKind.STARTED_NOT_FINISHED, 60, flow)
    start = utc_now()
    run_id = await rules.client.start(flow)
    await planned(rules, 1)
    async with stack.admin_pool.acquire() as connection, connection.transaction():
        # As the ledger does, whose Success is not committed yet.
        await connection.execute("UPDATE runs.flow_run SET state = 'Success' WHERE id = $1", run_id)
        meanwhile = await automations.deadlines.of_runs(after(start, 300))

    afterwards = await automations.deadlines.of_runs(after(start, 300))

    assert (meanwhile, afterwards, await broken(rules)) == (0, 0, [])


async def test_a_run_does_not_finish_while_it_is_judged(
    stack: Stack, rules: Rules, automations: Automations, flow: Flow
) -> None:
    run_id = await rules.client.start(flow)
    async with automations.database.transaction() as connection:
        rows = await connection.fetch("SELECT state FROM runs.share_free_flow_runs($1)", [run_id])
        finishing = asyncio.create_task(rules.client.set(run_id, "Success"))

        async def waits() -> bool:
            return bool(
                await stack.admin_pool.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'headwater-runs' AND wait_event_type = 'Lock')"
                )
            )

        await eventually(waits, timeout=30)
        is_done = finishing.done()

    outcome = await finishing
    assert [row["state"] for row in rows] == ["Running"]
    assert not is_done
    assert outcome.kind == "applied"


async def test_what_was_late_when_the_sla_was_made_does_not_count(
    rules: Rules, automations: Automations, flow: Flow
) -> None:
    start = utc_now() - timedelta(hours=1)
    await rules.client.create(flow, scheduled_start_time=start)
    await rules.handled()
    await rules.sla(SlaKind.SCHEDULED_NOT_STARTED, 60, flow)

    first = await automations.upkeep.plan()
    second = await automations.upkeep.plan()
    missed = await automations.deadlines.of_runs(utc_now() + timedelta(days=1))

    # Looked at once, and not again at every sweep.
    assert (first, second) == (1, 0)
    assert (missed, await broken(rules)) == (0, [])


async def test_runs_that_were_planned_before_the_sla_was_made_are_under_it(
    rules: Rules, automations: Automations, flow: Flow
) -> None:
    start = utc_now() + timedelta(hours=1)
    run_id = await rules.client.create(flow, scheduled_start_time=start)
    await rules.handled()
    await rules.sla(SlaKind.SCHEDULED_NOT_STARTED, 60, flow)

    await automations.upkeep.plan()
    await automations.deadlines.of_runs(after(start, 61))

    assert await broken(rules) == [str(run_id)]


async def test_an_outage_of_ours_makes_no_run_late(
    stack: Stack, rules: Rules, automations: Automations, flow: Flow
) -> None:
    await rules.sla(SlaKind.SCHEDULED_NOT_STARTED, 60, flow)
    start = utc_now()
    run_id = await rules.client.create(flow, scheduled_start_time=start)
    await planned(rules, 1)
    back = after(start, 3600)

    async def gateways_are_heard(since: datetime, at: datetime) -> None:
        await stack.admin_pool.execute("UPDATE heartbeat.watch SET since = $1, at = $2", since, at)

    try:
        await gateways_are_heard(since=start - MINUTE, at=start)
        during = await automations.deadlines.of_runs(back)
        await gateways_are_heard(since=back, at=after(back, 59))
        in_grace = await automations.deadlines.of_runs(after(back, 59))
        await gateways_are_heard(since=back, at=after(back, 61))
        afterwards = await automations.deadlines.of_runs(after(back, 61))
    finally:
        await gateways_were_always_heard(stack)

    assert (during, in_grace, afterwards) == (0, 0, 1)
    assert await broken(rules) == [str(run_id)]


async def test_deadlines_of_runs_that_are_gone_are_forgotten(
    stack: Stack, rules: Rules, automations: Automations, flow: Flow
) -> None:
    await rules.sla(SlaKind.SCHEDULED_NOT_STARTED, 60, flow)
    start = utc_now()
    run_id = await rules.client.create(flow, scheduled_start_time=start)
    await planned(rules, 1)
    await stack.admin_pool.execute("DELETE FROM runs.flow_run WHERE id = $1", run_id)

    missed = await automations.deadlines.of_runs(after(start, 61))

    left = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM automations.sla_deadline WHERE tenant_id = $1", rules.tenant_id
    )
    assert (missed, left) == (0, 0)


# agents


@pytest.fixture
async def config(stack: Stack, rules: Rules) -> UUID:
    """An agent config that a hook waits for."""
    config_id = new_id()
    await stack.admin_pool.execute(
        "INSERT INTO runs.agent_config (id, tenant_id, name) VALUES ($1, $2, 'config')",
        config_id,
        rules.tenant_id,
    )
    tags = {"agent_config_id": [str(config_id)]}
    made = await rules.ask_hook(await rules.action(), EventType.AGENT_SLA_FAILED, tags)
    assert isinstance(made, Applied), made
    return config_id


async def an_agent(rules: Rules, config_id: UUID, last_queried: datetime | None) -> UUID:
    agent_id = new_id()
    await rules.stack.admin_pool.execute(
        "INSERT INTO runs.agent (id, tenant_id, agent_config_id, name, type, last_queried)"
        " VALUES ($1::uuid, $2, $3, $1::uuid::text, 'LocalAgent', $4)",
        agent_id,
        rules.tenant_id,
        config_id,
        last_queried,
    )
    return agent_id


async def asks(rules: Rules, agent_id: UUID, at: datetime) -> None:
    await rules.stack.admin_pool.execute(
        "UPDATE runs.agent SET last_queried = $2 WHERE id = $1", agent_id, at
    )


async def agent_events(rules: Rules) -> list[Any]:
    return [row["event"] for row in await rules.owed()]


async def test_agents_are_told_when_the_last_one_falls_silent_and_again_after_it_was_back(
    rules: Rules, automations: Automations, config: UUID
) -> None:
    start = utc_now()
    first, second = [await an_agent(rules, config, start) for _ in range(2)]
    judge = automations.deadlines.of_agents

    healthy = await judge(after(start, 10))
    await asks(rules, second, after(start, 200))
    one_is_dead = await judge(after(start, 400))
    both = await judge(after(start, 501))
    still = await judge(after(start, 900))
    await asks(rules, first, after(start, 1000))
    back = await judge(after(start, 1010))
    dead_again = await judge(after(start, 1400))

    events = await agent_events(rules)
    assert (healthy, one_is_dead, both, still, back, dead_again) == (0, 0, 1, 0, 0, 1)
    assert len(events) == 2
    ids = sorted([str(first), str(second)])
    assert events[0]["unhealthy_agent_ids"] == events[0]["agent_ids"] == ids
    assert (events[0]["healthy_agent_ids"], events[0]["sla_min_healthy"]) == ([], 1)
    assert events[0]["message"] == (
        f"Agents sharing the config {config} have failed the minimum healthy count of 1. The following agents are"
        f" unhealthy: {', '.join(ids)}"
    )


async def test_a_config_that_no_agent_ever_used_fires_nothing(
    rules: Rules, automations: Automations, config: UUID
) -> None:
    start = utc_now()

    without_agents = await automations.deadlines.of_agents(start)
    await an_agent(rules, config, None)
    await an_agent(rules, config, start - timedelta(days=3))
    long_dead = await automations.deadlines.of_agents(start)

    assert (without_agents, long_dead, await agent_events(rules)) == (0, 0, [])


async def test_agents_that_we_could_not_hear_are_not_silent(
    stack: Stack, rules: Rules, automations: Automations, config: UUID
) -> None:
    start = utc_now()
    await an_agent(rules, config, start)
    await automations.deadlines.of_agents(start)
    back = after(start, 600)
    try:
        # Ten minutes without a gateway, then it is there again.
        await stack.admin_pool.execute(
            "UPDATE heartbeat.watch SET since = $1, at = $2", back, after(back, 3600)
        )
        at_once = await automations.deadlines.of_agents(after(back, 10))
        later = await automations.deadlines.of_agents(after(back, 301))
    finally:
        await gateways_were_always_heard(stack)

    assert (at_once, later) == (0, 1)
