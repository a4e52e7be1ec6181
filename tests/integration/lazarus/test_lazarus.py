"""Lazarus on a real PostgreSQL and a real broker; `runs` is played by the test."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from libs.contracts.runs import Reschedule
from services.lazarus.app import Lazarus, build
from services.lazarus.resurrections import Ticked
from services.lazarus.settings import LazarusSettings
from services.lazarus.store import Store
from tests.support.engines import Stack
from tests.support.flows import LONG_AGO, TENANT, a_flow_run, a_task_run
from tests.support.running import running
from tests.support.work import WorkReader, work_of_runs

NOW = LONG_AGO + timedelta(minutes=10)  # the boundary itself


@pytest.fixture
async def lazarus(stack: Stack) -> AsyncIterator[Lazarus]:
    await stack.admin_pool.execute(
        "TRUNCATE gateway.tenant, registry.project, registry.flow_group, runs.flow_run,"
        " heartbeat.last_seen, heartbeat.watch, heartbeat.zombie, lazarus.resurrection CASCADE"
    )
    await stack.admin_pool.execute(
        "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, 'a tenant', 'a-tenant')", TENANT
    )
    await listening_since(stack, LONG_AGO)
    service = build(
        LazarusSettings(
            postgres_url=stack.postgres_url("lazarus"),
            nats_url=stack.nats_url,
            lazarus_spread=timedelta(0),
            lazarus_tenant_rate=100,
        )
    )
    async with running(service, ticks=False):
        yield service


@pytest.fixture
async def work(stack: Stack) -> AsyncIterator[WorkReader]:
    async with work_of_runs(stack.nats_url) as reader:
        await reader.take()
        yield reader


async def listening_since(stack: Stack, since: datetime) -> None:
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.watch VALUES (1, $1, $2)"
        " ON CONFLICT (id) DO UPDATE SET since = excluded.since, at = excluded.at",
        since,
        NOW,
    )


async def seen(stack: Stack, run: UUID, at: datetime = LONG_AGO) -> UUID:
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.last_seen (flow_run_id, tenant_id, at) VALUES ($1, $2, $3)",
        run,
        TENANT,
        at,
    )
    return run


async def distressed(stack: Stack, *, times_resurrected: int = 0) -> UUID:
    return await seen(
        stack, await a_flow_run(stack.admin_pool, times_resurrected=times_resurrected)
    )


async def test_a_distressed_run_is_proposed_with_the_version_that_was_seen(
    stack: Stack, lazarus: Lazarus, work: WorkReader
) -> None:
    run = await distressed(stack)

    ticked = await lazarus.resurrections.tick(NOW)

    assert ticked == Ticked(revived=1)
    assert await work.take_all(Reschedule, verb="reschedule") == [
        Reschedule(tenant_id=TENANT, flow_run_id=run, seen_version=3, attempt=1, limit=10)
    ]


async def announced(stack: Stack, run: UUID, at: datetime = LONG_AGO) -> None:
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.zombie (flow_run_id, version, tenant_id, last_seen, detected)"
        " VALUES ($1, 3, $2, $3, $4)",
        run,
        TENANT,
        at,
        at + timedelta(minutes=2),
    )


async def test_a_run_that_was_announced_as_silent_is_proposed_when_its_ten_minutes_are_over(
    stack: Stack, lazarus: Lazarus, work: WorkReader
) -> None:
    run = await distressed(stack)
    await announced(stack, run)

    early = await lazarus.resurrections.tick_due(NOW - timedelta(microseconds=1))
    due = await lazarus.resurrections.tick_due(NOW)
    again = await lazarus.resurrections.tick_due(NOW + timedelta(seconds=10))

    assert (early, due, again) == (Ticked(), Ticked(revived=1), Ticked())
    [proposal] = await work.take_all(Reschedule, verb="reschedule")
    assert proposal.flow_run_id == run


async def test_a_submitted_run_is_proposed_when_its_ten_minutes_are_over(
    stack: Stack, lazarus: Lazarus
) -> None:
    await a_flow_run(stack.admin_pool, state="Submitted")

    early = await lazarus.resurrections.tick_due(NOW - timedelta(microseconds=1))

    assert (early, await lazarus.resurrections.tick_due(NOW)) == (Ticked(), Ticked(revived=1))


async def test_the_short_loop_proposes_its_share_of_the_rate(
    stack: Stack, lazarus: Lazarus
) -> None:
    for _ in range(5):
        await announced(stack, await distressed(stack))

    ticks = [await lazarus.resurrections.tick_due(NOW) for _ in range(4)]

    # A hundred in ten minutes are two in ten seconds.
    assert [ticked.revived for ticked in ticks] == [2, 2, 1, 0]


async def test_a_run_that_nobody_announced_is_found_by_the_thorough_loop(
    stack: Stack, lazarus: Lazarus
) -> None:
    await distressed(stack)

    assert await lazarus.resurrections.tick_due(NOW) == Ticked()
    assert await lazarus.resurrections.tick(NOW) == Ticked(revived=1)


async def test_the_eleventh_proposal_is_to_give_up(
    stack: Stack, lazarus: Lazarus, work: WorkReader
) -> None:
    await distressed(stack, times_resurrected=10)

    ticked = await lazarus.resurrections.tick(NOW)

    [proposal] = await work.take_all(Reschedule, verb="reschedule")
    assert ticked == Ticked(given_up=1)
    assert (proposal.give_up, proposal.attempt, proposal.limit) == (True, 11, 10)


async def test_a_run_seen_a_moment_less_than_ten_minutes_ago_is_left_alone(
    stack: Stack, lazarus: Lazarus
) -> None:
    await distressed(stack)

    assert await lazarus.resurrections.tick(NOW - timedelta(microseconds=1)) == Ticked()


@pytest.mark.parametrize("state", ["Submitted", "Running", "Scheduled", "Retrying", "Queued"])
async def test_a_task_run_at_work_shields_its_flow_run(
    stack: Stack, lazarus: Lazarus, state: str
) -> None:
    await a_task_run(stack.admin_pool, await distressed(stack), state=state)

    assert await lazarus.resurrections.tick(NOW) == Ticked()


@pytest.mark.parametrize("state", ["Pending", "Success", "Failed"])
async def test_a_task_run_that_waits_or_is_over_does_not(
    stack: Stack, lazarus: Lazarus, state: str
) -> None:
    await a_task_run(stack.admin_pool, await distressed(stack), state=state)

    assert await lazarus.resurrections.tick(NOW) == Ticked(revived=1)


async def test_a_submitted_run_that_never_started_is_revived(
    stack: Stack, lazarus: Lazarus
) -> None:
    await a_flow_run(stack.admin_pool, state="Submitted")

    assert await lazarus.resurrections.tick(NOW) == Ticked(revived=1)


@pytest.mark.parametrize("state", ["Scheduled", "Cancelling", "Success", "Failed"])
async def test_other_states_are_none_of_its_business(
    stack: Stack, lazarus: Lazarus, state: str
) -> None:
    await seen(stack, await a_flow_run(stack.admin_pool, state=state))

    assert await lazarus.resurrections.tick(NOW) == Ticked()


@pytest.mark.parametrize("settings", [{"heartbeat_enabled": False}, {"lazarus_enabled": False}])
async def test_a_flow_that_opted_out_is_left_alone(
    stack: Stack, lazarus: Lazarus, settings: dict[str, bool]
) -> None:
    await seen(stack, await a_flow_run(stack.admin_pool, settings=settings))
    await a_flow_run(stack.admin_pool, state="Submitted", settings=settings)

    assert await lazarus.resurrections.tick(NOW) == Ticked()


async def test_a_run_that_began_with_heartbeats_off_is_not_judged_by_its_silence(
    stack: Stack, lazarus: Lazarus
) -> None:
    await a_flow_run(stack.admin_pool, state="Running")

    assert await lazarus.resurrections.tick(NOW) == Ticked()


async def test_nobody_is_judged_by_pings_that_were_not_listened_to(
    stack: Stack, lazarus: Lazarus
) -> None:
    await distressed(stack)
    await listening_since(stack, LONG_AGO + timedelta(seconds=1))

    assert await lazarus.resurrections.tick(NOW) == Ticked()


@pytest.mark.parametrize("column", ["heartbeat", "state_timestamp"])
async def test_a_sign_of_life_in_the_future_is_of_a_clock_that_has_gone_back_and_hides_nobody(
    stack: Stack, lazarus: Lazarus, column: str
) -> None:
    await distressed(stack)
    await stack.admin_pool.execute(
        f"UPDATE runs.flow_run SET {column} = $1",
        NOW + timedelta(hours=1),
    )

    assert await lazarus.resurrections.tick(NOW) == Ticked(revived=1)


async def test_a_run_of_which_nothing_is_known_but_a_state_in_the_future_is_not_judged(
    stack: Stack, lazarus: Lazarus
) -> None:
    await a_flow_run(stack.admin_pool, state="Submitted", state_timestamp=NOW + timedelta(hours=1))
    await stack.admin_pool.execute("UPDATE runs.flow_run SET heartbeat = NULL")

    assert await lazarus.resurrections.tick(NOW) == Ticked()


async def test_the_next_tick_does_not_propose_the_same_version_again(
    stack: Stack, lazarus: Lazarus, work: WorkReader
) -> None:
    await distressed(stack)
    await lazarus.resurrections.tick(NOW)

    assert await lazarus.resurrections.tick(NOW + timedelta(seconds=30)) == Ticked()


async def test_a_proposal_that_was_lost_is_made_again_after_an_hour(
    stack: Stack, lazarus: Lazarus, work: WorkReader
) -> None:
    run = await distressed(stack)
    await lazarus.resurrections.tick(NOW)
    await work.take()
    await stack.admin_pool.execute("UPDATE heartbeat.watch SET at = at + interval '1 hour'")

    assert await lazarus.resurrections.tick(NOW + timedelta(hours=1)) == Ticked(revived=1)

    [proposal] = await work.take_all(Reschedule, verb="reschedule")
    assert proposal.flow_run_id == run


async def test_two_lazaruses_ticking_at_once_propose_a_run_once(
    stack: Stack, lazarus: Lazarus, work: WorkReader
) -> None:
    runs = {await distressed(stack) for _ in range(60)}

    first, second = await asyncio.gather(
        lazarus.resurrections.tick(NOW), lazarus.resurrections.tick(NOW)
    )

    proposals = await work.take_all(Reschedule, verb="reschedule")
    assert first.revived + second.revived == 60
    assert len(proposals) == 60
    assert {proposal.flow_run_id for proposal in proposals} == runs


async def test_a_tick_proposes_no_more_than_the_rate_of_a_tenant(
    stack: Stack, lazarus: Lazarus
) -> None:
    for _ in range(105):
        await distressed(stack)

    assert await lazarus.resurrections.tick(NOW) == Ticked(revived=100)
    assert await lazarus.resurrections.tick(NOW) == Ticked(revived=5)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO heartbeat.last_seen SELECT id, tenant_id, $1 FROM runs.flow_run",
        "UPDATE runs.flow_run SET version = 4, state = 'Running', state_timestamp = $1",
        """UPDATE registry.flow_group SET settings = '{"lazarus_enabled": false}', updated = $1""",
        """UPDATE registry.flow_group SET settings = '{"heartbeat_enabled": false}', updated = $1""",
    ],
    ids=["pings again", "goes on", "Lazarus off", "heartbeats off"],
)
async def test_a_run_that_needs_no_help_any_more_when_its_turn_comes_is_left_alone(
    stack: Stack, lazarus: Lazarus, work: WorkReader, change: str
) -> None:
    run = await a_flow_run(stack.admin_pool, state="Submitted")
    async with lazarus.database.transaction() as connection:
        found = await Store(connection).distressed(
            now=NOW,
            after=timedelta(minutes=10),
            per_tenant=10,
            again=timedelta(hours=1),
            everywhere=True,
        )
    await stack.admin_pool.execute(change, NOW)

    outcome = await lazarus.resurrections._propose(found, NOW)

    assert [each.flow_run_id for each in found] == [run]
    assert not outcome
    assert await work.take() == []
    assert await stack.admin_pool.fetchval("SELECT count(*) FROM lazarus.resurrection") == 0


async def test_nothing_is_revived_while_the_work_queue_is_paused(
    stack: Stack, lazarus: Lazarus
) -> None:
    await distressed(stack)
    await stack.admin_pool.execute(
        "UPDATE gateway.tenant SET settings = jsonb_build_object('work_queue_paused', true)"
    )

    paused = await lazarus.resurrections.tick(NOW)
    await stack.admin_pool.execute("UPDATE gateway.tenant SET settings = '{}'")

    assert paused == Ticked()
    assert await lazarus.resurrections.tick(NOW) == Ticked(revived=1)


async def test_a_run_that_was_found_is_left_when_its_queue_is_paused_before_its_turn(
    stack: Stack, lazarus: Lazarus
) -> None:
    run = await distressed(stack)
    after = timedelta(minutes=10)
    async with lazarus.database.transaction() as connection:
        store = Store(connection)
        found = await store.distressed(
            now=NOW, after=after, per_tenant=10, again=timedelta(hours=1), everywhere=True
        )
        before = await store.still_distressed(found, now=NOW, after=after)
        await stack.admin_pool.execute(
            "UPDATE gateway.tenant SET settings = jsonb_build_object('work_queue_paused', true)"
        )
        paused = await store.still_distressed(found, now=NOW, after=after)

    assert (before, paused) == ({run}, set())
