"""The heartbeat service on a real PostgreSQL and a real broker, with a silence of two seconds."""

import math
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import subjects
from libs.contracts.heartbeat import FlowRunZombieDetected
from libs.contracts.runs import FlowRunStateChanged
from libs.runtime import metrics
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.heartbeat.app import Heartbeat, build
from services.heartbeat.domain import ping_budget
from services.heartbeat.domain.judgement import SilentRun, Why
from services.heartbeat.domain.last_heard import key_of
from services.heartbeat.pings import UNKNOWN_RUNS
from services.heartbeat.settings import HeartbeatSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow, a_flow_run, a_task_run
from tests.support.running import running as service_running

SILENCE = timedelta(seconds=2)
PATIENCE = 60.0
"""Seconds to wait for a judgement. A process that stood still for a second begins its coverage anew, and judges nobody
for one more silence."""
OFF = {"heartbeat_enabled": False}


def settings(stack: Stack, **changes: Any) -> HeartbeatSettings:
    values: dict[str, Any] = {
        "postgres_url": stack.postgres_url("heartbeat"),
        "nats_url": stack.nats_url,
        "heartbeat_interval": timedelta(seconds=0.5),
        "heartbeat_write_interval": timedelta(seconds=0.5),
        "heartbeat_sweep_grace": timedelta(seconds=1),
        "heartbeat_check_interval": timedelta(seconds=0.3),
        "alive_every": timedelta(seconds=0.5),
        "heartbeat_needs_gateway": False,
    }
    return HeartbeatSettings(**(values | changes))


@asynccontextmanager
async def running(
    stack: Stack, *, held: Collection[str] = (), **changes: Any
) -> AsyncIterator[Heartbeat]:
    """The tests call the sweep, and count what it found; `held` are further loops that wait."""
    async with service_running(build(settings(stack, **changes)), held={"sweep", *held}) as service:
        yield service


@pytest.fixture
async def heartbeat(stack: Stack) -> AsyncIterator[Heartbeat]:
    """A service that has listened for longer than the silence."""
    await clean(stack)
    async with running(stack) as service:
        await eventually(lambda: has_listened(stack), timeout=PATIENCE)
        yield service


async def clean(stack: Stack) -> None:
    await stack.admin_pool.execute(
        "TRUNCATE registry.project, registry.flow_group, runs.flow_run, heartbeat.last_seen,"
        " heartbeat.task_last_seen, heartbeat.zombie, heartbeat.outbox, heartbeat.watch CASCADE"
    )


async def has_listened(stack: Stack) -> bool:
    return bool(
        await stack.admin_pool.fetchval(
            "SELECT now() - since > $1 FROM heartbeat.watch", SILENCE + timedelta(seconds=0.5)
        )
    )


async def ping(service: Heartbeat, run: UUID, *, tenant: UUID = TENANT) -> None:
    """One ping, read by the service's listener when this returns, as by those of other replicas soon."""
    subject = subjects.BEAT.at(tenant_id=tenant, flow_run_id=run)
    await service.bus.client.publish(subject)
    await service.bus.client.flush()


async def changed(service: Heartbeat, run: UUID, state: str, version: int = 3) -> None:
    event = FlowRunStateChanged(
        event_id=new_id(),
        at=utc_now(),
        tenant_id=TENANT,
        flow_run_id=run,
        flow_id=new_id(),
        version=version,
        state=state,
    )
    subject = subjects.FLOW_RUN_STATE_CHANGED.at(flow_run_id=run)
    await service.bus.js.publish(subject, event.model_dump_json().encode())


async def zombies(stack: Stack) -> dict[UUID, int]:
    rows = await stack.admin_pool.fetch("SELECT flow_run_id, version FROM heartbeat.zombie")
    return {row["flow_run_id"]: row["version"] for row in rows}


async def found(stack: Stack) -> dict[UUID, int]:
    """The zombies, once there is one."""
    return await eventually(lambda: zombies(stack), timeout=PATIENCE)


async def last_seen(stack: Stack, run: UUID) -> Any:
    return await stack.admin_pool.fetchval(
        "SELECT at FROM heartbeat.last_seen WHERE flow_run_id = $1", run
    )


async def test_a_run_that_stops_pinging_is_announced_once(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run = await a_flow_run(stack.admin_pool, version=5)
    await ping(heartbeat, run)

    assert await found(stack) == {run: 5}

    async def published() -> FlowRunZombieDetected:
        subject = subjects.FLOW_RUN_ZOMBIE_DETECTED.at(flow_run_id=run)
        message = await heartbeat.bus.js.get_last_msg("EVENTS", subject)
        return FlowRunZombieDetected.model_validate_json(message.data or b"")

    assert (await eventually(published)).version == 5


async def test_a_run_that_pings_on_is_left_alone(stack: Stack, heartbeat: Heartbeat) -> None:
    alive = await a_flow_run(stack.admin_pool)
    dead = await a_flow_run(stack.admin_pool)
    await ping(heartbeat, dead)

    async def dead_is_found_while_the_other_pings() -> bool:
        await ping(heartbeat, alive)
        return dead in await zombies(stack)

    await eventually(dead_is_found_while_the_other_pings, timeout=PATIENCE, pause=0.1)

    assert alive not in await zombies(stack)


async def test_a_run_that_never_pings_is_waited_for_from_its_running_state(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run = await a_flow_run(stack.admin_pool)

    await changed(heartbeat, run, "Running")

    assert await found(stack) == {run: 3}


async def test_a_finished_run_is_never_announced(stack: Stack, heartbeat: Heartbeat) -> None:
    finished = await a_flow_run(stack.admin_pool)
    dead = await a_flow_run(stack.admin_pool)
    await ping(heartbeat, finished)
    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET state = 'Success' WHERE id = $1", finished
    )
    await changed(heartbeat, finished, "Success", 4)
    await ping(heartbeat, dead)

    await found(stack)

    assert await zombies(stack) == {dead: 3}


async def test_a_flow_with_heartbeats_off_is_neither_guarded_nor_announced(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    off = await a_flow_run(stack.admin_pool, settings=OFF)
    dead = await a_flow_run(stack.admin_pool)
    await ping(heartbeat, off)
    await changed(heartbeat, off, "Running")
    await ping(heartbeat, dead)

    await found(stack)

    assert await last_seen(stack, off) is None
    assert await zombies(stack) == {dead: 3}


async def test_switching_heartbeats_on_guards_future_runs_only(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    flow = await a_flow(stack.admin_pool, active=False, settings=OFF)
    before = await a_flow_run(stack.admin_pool, flow=flow)
    await ping(heartbeat, before)
    await eventually(lambda: is_refused(heartbeat, before))
    await switched_on(stack)
    # What is heard only now of a run that began before: its last ping, and the event of its Running state.
    await ping(heartbeat, before)
    await changed(heartbeat, before, "Running")
    after = await a_flow_run(stack.admin_pool, flow=flow, state_timestamp=utc_now())
    await changed(heartbeat, after, "Running")

    assert await found(stack) == {after: 3}
    await eventually(lambda: heartbeat_is_overdue(stack, after))
    assert (await heartbeat.silences.sweep()).zombies == 0


async def is_refused(service: Heartbeat, run: UUID) -> bool:
    """Whether its pings so far were looked at, and did not let it in."""
    key = key_of(TENANT, run)
    is_waiting = service.pings.listener.has_just_heard(key) or key in service.pings._unknown
    return not is_waiting and key not in service.memory


async def switched_on(stack: Stack) -> None:
    """As the registry does it (`set_safeguards.sql`)."""
    await stack.admin_pool.execute(
        "UPDATE registry.flow_group SET settings = '{}', heartbeats_since = clock_timestamp()"
    )


async def test_an_attempt_that_began_with_heartbeats_off_is_not_judged_by_the_one_before(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    flow = await a_flow(stack.admin_pool, active=False)
    run = await a_flow_run(stack.admin_pool, flow=flow)
    await changed(heartbeat, run, "Running")
    await eventually(lambda: last_seen(stack, run))

    # Its second attempt began while they were off; we hear of it after they came on again.
    await switched_on(stack)
    await changed(heartbeat, run, "Running", 6)

    async def is_forgotten() -> bool:
        return await last_seen(stack, run) is None

    assert await eventually(is_forgotten)


async def heartbeat_is_overdue(stack: Stack, run: UUID) -> bool:
    return bool(
        await stack.admin_pool.fetchval(
            "SELECT at < now() - interval '4 seconds' FROM heartbeat.last_seen"
            " WHERE flow_run_id = $1",
            run,
        )
    )


async def test_a_submitted_run_is_left_to_lazarus(stack: Stack, heartbeat: Heartbeat) -> None:
    submitted = await a_flow_run(stack.admin_pool, state="Submitted")
    dead = await a_flow_run(stack.admin_pool)
    await ping(heartbeat, submitted)
    await ping(heartbeat, dead)

    await found(stack)

    assert await zombies(stack) == {dead: 3}


async def test_whoever_is_silent_while_no_gateway_is_heard_is_not_announced(stack: Stack) -> None:
    await clean(stack)
    run = await a_flow_run(stack.admin_pool)
    async with running(stack, heartbeat_needs_gateway=True) as service:  # no gateway runs here
        await ping(service, run)
        await eventually(lambda: last_seen(stack, run))
        silent_since = service.monotonic()

        async def has_been_silent_for_long() -> bool:
            return service.monotonic() - silent_since > 1.5 * SILENCE.total_seconds()

        await eventually(has_been_silent_for_long)
        assert (await service.silences.judge()).zombies == 0
        await says(service, "no gateway is heard, so pings may not come through")
    assert await zombies(stack) == {}


async def test_pings_are_heard_as_soon_as_a_gateway_is(stack: Stack) -> None:
    await clean(stack)
    async with running(stack, heartbeat_needs_gateway=True) as service:
        await eventually(lambda: service.watch.obstacles)
        assert not await stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.watch")

        await service.bus.signal(subjects.SIG_SERVICE_ALIVE.at(service="gateway"))

        assert await eventually(
            lambda: stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.watch")
        )


async def test_it_is_not_ready_when_pings_are_not_heard(stack: Stack) -> None:
    async with running(stack) as service:
        await service.pings.listener.close()

        await says(service, "the connection that hears pings is not up")


async def says(service: Heartbeat, why: str) -> None:
    """Wait until this alone is why it is not ready; a busy machine may have other reasons for a moment."""

    async def reasons() -> bool:
        assert await service.unready() == [why]
        return True

    await eventually(reasons)


async def test_the_sweep_finds_a_run_that_no_replica_waits_for(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    """Its Running state was taken by a replica that was killed, before its first ping."""
    run = await guarded_long_ago(stack)

    async def swept() -> int:
        return (await heartbeat.silences.sweep()).zombies

    # Once pings were heard for the silence and a grace.
    assert await eventually(swept, timeout=PATIENCE) == 1
    assert await swept() == 0
    assert await zombies(stack) == {run: 3}


async def test_the_sweep_leaves_whom_we_hear_ourselves(stack: Stack, heartbeat: Heartbeat) -> None:
    """Were its row not written, that would be a fault of ours."""
    run = await guarded_long_ago(stack)
    heartbeat.memory.add({key_of(TENANT, run): heartbeat.monotonic()}, heartbeat.monotonic())

    assert (await heartbeat.silences.sweep()).zombies == 0


def silent(run: UUID) -> SilentRun:
    return SilentRun(
        flow_run_id=run,
        tenant_id=TENANT,
        version=3,
        state="Running",
        enabled=True,
        guarded=True,
        seen=utc_now(),
    )


async def test_a_crowd_that_falls_silent_at_once_is_found_at_once(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    crowd = [await a_flow_run(stack.admin_pool) for _ in range(120)]
    for run in crowd:
        await ping(heartbeat, run)

    # All silent at once is held for one more period.
    await eventually(lambda: all_are_announced(stack, 120), timeout=PATIENCE)


async def test_a_run_that_was_heard_by_a_replica_since_it_was_judged_is_not_announced(
    stack: Stack,
) -> None:
    """This replica was stopped between the look at the tables and the announcement."""
    await clean(stack)
    spoke, dead = await a_flow_run(stack.admin_pool), await a_flow_run(stack.admin_pool)
    # Who is slow to come here finds them silent, and would announce them first.
    async with running(stack, held={"silences"}) as service:
        for run in (spoke, dead):
            await changed(service, run, "Running")
            await eventually(partial(last_seen, stack, run))
        await service.watch.confirm()
        judged = [(silent(run), await last_seen(stack, run)) for run in (spoke, dead)]
        await stack.admin_pool.execute(
            "UPDATE heartbeat.last_seen SET at = clock_timestamp() WHERE flow_run_id = $1", spoke
        )

        assert await service.silences._announce(judged, utc_now()) == {dead}


async def test_whom_another_replica_hears_is_left_alone(stack: Stack, heartbeat: Heartbeat) -> None:
    """One of the two hears nothing, and does not notice."""
    alive, dead = [await a_flow_run(stack.admin_pool) for _ in range(2)]
    looked_again = metrics.SILENCES.labels(Why.ALIVE)
    before = looked_again._value.get()
    async with running(stack) as other:
        await eventually(lambda: other.watch.covers(SILENCE.total_seconds()), timeout=PATIENCE)
        for run in (alive, dead):
            await ping(heartbeat, run)
        await eventually(lambda: len(other.memory) == 2)
        other.pings.listener._pings = set()

        async def it_was_missed_and_the_dead_one_found() -> bool:
            await ping(heartbeat, alive)
            return looked_again._value.get() > before and dead in await zombies(stack)

        await eventually(it_was_missed_and_the_dead_one_found, timeout=PATIENCE, pause=0.1)
        assert await zombies(stack) == {dead: 3}


async def test_what_one_replica_heard_last_is_written_down_for_the_others_to_the_second(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    """A row is coarse while its run pings: the ping after it is not written, until none follows."""
    run = await a_flow_run(stack.admin_pool)
    await ping(heartbeat, run)
    await eventually(lambda: last_seen(stack, run))
    first = await last_seen(stack, run)
    heartbeat.memory.wrote({key_of(TENANT, run): heartbeat.monotonic() + 3600})  # the row is fresh
    await ping(heartbeat, run)
    await eventually(lambda: not heartbeat.pings.listener.has_just_heard(key_of(TENANT, run)))
    heartbeat.memory.wrote({key_of(TENANT, run): 0})

    async def is_exact() -> bool:
        return bool(await last_seen(stack, run) > first)

    await eventually(is_exact)
    assert await found(stack) == {run: 3}


async def test_a_replica_that_starts_waits_for_those_in_the_table(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    """Nobody pings: what was killed had heard of them, and the one that starts has only the rows."""
    for loop in heartbeat.loops:
        await loop.stop()
    run = await guarded_long_ago(stack)
    async with running(stack) as other:
        began = other.monotonic()
        assert key_of(TENANT, run) in other.memory

        assert await found(stack) == {run: 3}

        assert other.monotonic() - began >= SILENCE.total_seconds(), (
            "it counts as heard at the start"
        )


async def guarded_long_ago(stack: Stack) -> UUID:
    run = await a_flow_run(stack.admin_pool)
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.last_seen (flow_run_id, tenant_id, at) VALUES ($1, $2, now() - interval '1 h')",
        run,
        TENANT,
    )
    return run


async def test_a_ping_of_another_tenant_keeps_no_run_alive(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run, stranger = await a_flow_run(stack.admin_pool), new_id()
    await ping(heartbeat, run)

    async def found_while_a_stranger_pings() -> bool:
        await ping(heartbeat, run, tenant=stranger)
        return run in await zombies(stack)

    await eventually(found_while_a_stranger_pings, timeout=PATIENCE, pause=0.3)

    assert key_of(stranger, run) not in heartbeat.memory


async def test_a_stranger_who_pings_a_living_run_does_not_make_it_silent(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    """Its row is what Lazarus and the ledger look at."""
    run, dead, stranger = (
        await a_flow_run(stack.admin_pool),
        await a_flow_run(stack.admin_pool),
        new_id(),
    )
    await ping(heartbeat, run)
    await ping(heartbeat, dead)

    async def another_is_found() -> bool:
        await ping(heartbeat, run)
        await ping(heartbeat, run, tenant=stranger)
        return dead in await zombies(stack)

    await eventually(another_is_found, timeout=PATIENCE, pause=0.1)

    assert await zombies(stack) == {dead: 3}
    age = await stack.admin_pool.fetchval(
        "SELECT now() - at FROM heartbeat.last_seen WHERE flow_run_id = $1", run
    )
    assert age < SILENCE


async def test_a_stranger_who_pings_a_run_does_not_get_it_guarded(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run, stranger = await a_flow_run(stack.admin_pool), new_id()

    await ping(heartbeat, run, tenant=stranger)
    await eventually(lambda: not heartbeat.pings.listener.has_just_heard(key_of(stranger, run)))
    await heartbeat.pings.write()

    assert await last_seen(stack, run) is None


async def test_pings_of_runs_that_do_not_exist_cost_no_memory_and_nobody_elses_turn(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run, stranger = await a_flow_run(stack.admin_pool), new_id()
    heartbeat.pings.listener._heard |= {key_of(stranger, new_id()) for _ in range(3 * UNKNOWN_RUNS)}
    heartbeat.pings.listener._heard.add(key_of(TENANT, run))

    await heartbeat.pings.hear()

    assert len(heartbeat.pings._unknown) <= UNKNOWN_RUNS + 1
    assert key_of(TENANT, run) in heartbeat.pings._unknown
    await heartbeat.pings.write()
    assert len(heartbeat.memory) == 1


async def test_pings_of_the_agents_of_the_release_before_count(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    """They ask for an acknowledgement, which nobody gives, and carry the headers of a schedule."""
    run = await a_flow_run(stack.admin_pool)
    subject = subjects.BEAT.at(tenant_id=TENANT, flow_run_id=run)
    headers = {
        "Nats-Schedule": "@every 121s",
        "Nats-Schedule-Target": f"hw.silent.{run}",
        "Nats-Expected-Stream": "BEATS",
    }

    await heartbeat.bus.client.publish(subject, b"{}", headers=headers, reply="_INBOX.agent.x.y")

    assert await eventually(lambda: last_seen(stack, run))


async def test_who_was_stopped_between_the_last_look_and_the_announcement_announces_nobody(
    stack: Stack,
) -> None:
    """There was no other replica to write the ping that came meanwhile."""
    await clean(stack)
    dead = await a_flow_run(stack.admin_pool)
    judged = [(silent(dead), utc_now() - SILENCE)]
    async with running(stack) as service:
        for loop in service.loops:
            await loop.stop()
        await service.watch.confirm()
        await stack.admin_pool.execute("UPDATE heartbeat.watch SET at = now() - interval '1 hour'")

        assert await service.silences._announce(judged, utc_now()) == set()

        await service.watch.confirm()
        assert await service.silences._announce(judged, utc_now()) == {dead}


async def test_mass_silence_is_held_for_one_more_period(stack: Stack) -> None:
    await clean(stack)
    async with running(stack, heartbeat_mass_silence_runs=5) as service:
        await eventually(lambda: has_listened(stack), timeout=PATIENCE)
        runs = [await a_flow_run(stack.admin_pool) for _ in range(6)]
        began = service.monotonic()
        for run in runs:
            await ping(service, run)

        await found(stack)

        assert service.monotonic() - began >= 2 * SILENCE.total_seconds()
        await eventually(lambda: all_are_announced(stack, 6), timeout=PATIENCE)


async def test_the_mass_silence_of_one_tenant_holds_nobody_elses_zombie(stack: Stack) -> None:
    await clean(stack)
    other = new_id()
    async with running(stack, heartbeat_mass_silence_runs=5) as service:
        await eventually(lambda: has_listened(stack), timeout=PATIENCE)
        theirs = [await a_flow_run(stack.admin_pool) for _ in range(6)]
        dead, alive = [await a_flow_run(stack.admin_pool, tenant=other) for _ in range(2)]
        for run in theirs:
            await ping(service, run)
        for run in (dead, alive):
            await ping(service, run, tenant=other)
        await eventually(lambda: len(service.memory) == 8)
        # It pings on. Pings of this test would be late, too, when the machine stands still, and both be held.
        later = service.monotonic() + 3600
        service.memory.hear([key_of(other, alive)], later, coarse=math.inf)

        assert {*await found(stack)} == {dead}


async def test_a_flood_of_pings_costs_its_own_tenant_alone(
    stack: Stack, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping_budget, "BASE", 50)  # a flood that costs this machine little
    flooder = new_id()
    theirs = await a_flow_run(stack.admin_pool, tenant=flooder)
    await ping(heartbeat, theirs, tenant=flooder)
    mine, dead = await a_flow_run(stack.admin_pool), await a_flow_run(stack.admin_pool)
    for run in (mine, dead):
        await ping(heartbeat, run)
    assert await eventually(lambda: len(heartbeat.memory) == 3)
    subject = subjects.BEAT.at(tenant_id=flooder, flow_run_id=new_id())

    async def flood() -> None:
        for _ in range(1_000):
            await heartbeat.bus.client.publish(subject)
        await ping(heartbeat, mine)

    async def found_in_the_flood() -> dict[UUID, int]:
        await flood()
        return await zombies(stack)

    async def is_unheard() -> bool:
        await flood()
        return bool(heartbeat.pings._unheard)

    assert await eventually(is_unheard, timeout=PATIENCE)
    connection = heartbeat.pings.listener.connection
    announced = await eventually(found_in_the_flood, timeout=PATIENCE)

    assert {*announced} == {dead}, "its own run counts as heard, mine was heard"
    assert heartbeat.pings.listener.connection == connection, "the broker did not have to drop it"
    assert await eventually(lambda: not heartbeat.pings._unheard, timeout=PATIENCE)
    assert await eventually(lambda: heartbeat.pings.listener._everybody is not None)

    async def both_are_found() -> bool:
        # And mine by then, which nobody pings since the flood has ended.
        return {*await zombies(stack)} >= {dead, theirs}

    assert await eventually(both_are_found, timeout=PATIENCE)


async def all_are_announced(stack: Stack, count: int) -> bool:
    return len(await zombies(stack)) == count


async def test_pings_of_task_runs_are_shown_and_never_judged(
    stack: Stack, heartbeat: Heartbeat
) -> None:

    run = await a_flow_run(stack.admin_pool, state="Success")
    task_run = await a_task_run(stack.admin_pool, run)
    await heartbeat.bus.signal(subjects.SIG_TASK_BEAT.at(tenant_id=TENANT, task_run_id=task_run))

    async def shown() -> bool:
        return bool(
            await stack.admin_pool.fetchval(
                "SELECT true FROM heartbeat.task_last_seen WHERE task_run_id = $1", task_run
            )
        )

    assert await eventually(shown)


async def test_a_stranger_hides_no_ping_of_a_task_run(stack: Stack, heartbeat: Heartbeat) -> None:
    run = await a_flow_run(stack.admin_pool, state="Success")
    task_run = await a_task_run(stack.admin_pool, run)
    heartbeat.pings._task_pings |= {(TENANT, task_run), (new_id(), task_run)}

    await heartbeat.pings.write_tasks()

    assert (
        await stack.admin_pool.fetchval(
            "SELECT tenant_id FROM heartbeat.task_last_seen WHERE task_run_id = $1", task_run
        )
        == TENANT
    )
