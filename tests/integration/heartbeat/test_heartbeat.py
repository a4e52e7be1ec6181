"""The heartbeat service on a real PostgreSQL and a real broker, with a silence of two seconds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from nats.js.errors import NotFoundError

from deploy.provision import provision
from libs.contracts import subjects
from libs.contracts.heartbeat import (
    REARMED_HEADER,
    SCHEDULE_HEADER,
    FlowRunZombieDetected,
    beat_message,
)
from libs.contracts.runs import FlowRunStateChanged
from libs.runtime import metrics
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.heartbeat import app
from services.heartbeat.app import Heartbeat, Look, build
from services.heartbeat.domain import SilentRun, Why
from services.heartbeat.settings import HeartbeatSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow, a_flow_run, a_task_run

SILENCE = timedelta(seconds=2)
OFF = {"heartbeat_enabled": False}


def settings(stack: Stack, **changes: Any) -> HeartbeatSettings:
    values: dict[str, Any] = {
        "postgres_url": stack.postgres_url("heartbeat"),
        "nats_url": stack.nats_url,
        "heartbeat_interval": timedelta(seconds=0.5),
        "heartbeat_coarse": timedelta(seconds=0.5),
        "heartbeat_sweep": timedelta(days=1),
        "heartbeat_sweep_grace": timedelta(seconds=1),
        "heartbeat_watch": timedelta(seconds=0.3),
        "heartbeat_needs_gateway": False,
    }
    return HeartbeatSettings(**(values | changes))


@asynccontextmanager
async def running(stack: Stack, **changes: Any) -> AsyncIterator[Heartbeat]:
    service = build(settings(stack, **changes))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


@pytest.fixture
async def heartbeat(stack: Stack) -> AsyncIterator[Heartbeat]:
    """A service that has listened for longer than the silence."""
    await clean(stack)
    async with running(stack) as service:
        await eventually(lambda: has_listened(stack))
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
    subject, headers, body = beat_message(tenant, run, utc_now(), SILENCE)
    await service.bus.js.publish(subject, body, headers=headers)


async def disarmed(service: Heartbeat, run: UUID, *, tenant: UUID = TENANT) -> bool:
    """Whether the service has taken the run's switch away."""
    try:
        newest = await service.bus.js.get_last_msg(
            "BEATS", subjects.BEAT.at(tenant_id=tenant, flow_run_id=run)
        )
    except NotFoundError:
        return True
    return SCHEDULE_HEADER not in (newest.headers or {})


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


async def last_seen(stack: Stack, run: UUID) -> Any:
    return await stack.admin_pool.fetchval(
        "SELECT at FROM heartbeat.last_seen WHERE flow_run_id = $1", run
    )


async def test_a_run_that_stops_pinging_is_announced_once(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run = await a_flow_run(stack.admin_pool, version=5)
    await ping(heartbeat, run)

    found = await eventually(lambda: zombies(stack))

    assert found == {run: 5}

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

    await eventually(dead_is_found_while_the_other_pings, pause=0.3)

    assert alive not in await zombies(stack)


async def test_a_run_that_never_pings_is_armed_by_its_running_state(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run = await a_flow_run(stack.admin_pool)

    await changed(heartbeat, run, "Running")

    assert await eventually(lambda: zombies(stack)) == {run: 3}


async def test_a_finished_run_is_disarmed_and_never_announced(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    finished = await a_flow_run(stack.admin_pool)
    dead = await a_flow_run(stack.admin_pool)
    await ping(heartbeat, finished)
    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET state = 'Success' WHERE id = $1", finished
    )
    await changed(heartbeat, finished, "Success", 4)
    await ping(heartbeat, dead)

    await eventually(lambda: zombies(stack))

    assert await zombies(stack) == {dead: 3}


async def test_a_flow_with_heartbeats_off_is_neither_guarded_nor_announced(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    off = await a_flow_run(stack.admin_pool, settings=OFF)
    dead = await a_flow_run(stack.admin_pool)
    await ping(heartbeat, off)
    await changed(heartbeat, off, "Running")
    await ping(heartbeat, dead)

    await eventually(lambda: zombies(stack))

    assert await last_seen(stack, off) is None
    assert await zombies(stack) == {dead: 3}


async def test_switching_heartbeats_on_guards_future_runs_only(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    flow = await a_flow(stack.admin_pool, active=False, settings=OFF)
    before = await a_flow_run(stack.admin_pool, flow=flow)
    await ping(heartbeat, before)
    await eventually(lambda: disarmed(heartbeat, before))
    await switched_on(stack)
    # What is heard only now of a run that began before: its last ping, and the event of its Running state.
    await ping(heartbeat, before)
    await changed(heartbeat, before, "Running")
    after = await a_flow_run(stack.admin_pool, flow=flow, state_timestamp=utc_now())
    await changed(heartbeat, after, "Running")

    assert await eventually(lambda: zombies(stack)) == {after: 3}
    await eventually(lambda: heartbeat_is_overdue(stack, after))
    assert (await heartbeat.sweep()).zombies == 0


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

    await eventually(lambda: zombies(stack))

    assert await zombies(stack) == {dead: 3}
    assert await eventually(lambda: disarmed(heartbeat, submitted))


async def test_a_switch_that_nothing_comes_of_is_taken_away_by_its_own_name(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    """A sender may put another tenant, or a run that is not there, into a ping's body."""
    gone, stranger = new_id(), new_id()
    _, headers, body = beat_message(TENANT, gone, utc_now(), SILENCE)
    subject = subjects.BEAT.at(tenant_id=stranger, flow_run_id=gone)

    await heartbeat.bus.js.publish(subject, body, headers=headers)

    assert await eventually(lambda: disarmed(heartbeat, gone, tenant=stranger))
    assert await zombies(stack) == {}


async def test_whoever_is_silent_while_we_are_deaf_is_armed_again(stack: Stack) -> None:
    await clean(stack)
    run = await a_flow_run(stack.admin_pool)
    async with running(stack, heartbeat_needs_gateway=True) as deaf:  # no gateway runs here
        await ping(deaf, run)
        await eventually(lambda: last_seen(stack, run))

        await eventually(lambda: is_rearmed(deaf, run))

        assert await eventually(deaf.unready) == [
            "no gateway is heard, so pings may not come through"
        ]
    assert await zombies(stack) == {}


async def is_rearmed(service: Heartbeat, run: UUID) -> bool:
    subject = subjects.BEAT.at(tenant_id=TENANT, flow_run_id=run)
    message = await service.bus.js.get_last_msg("BEATS", subject)
    return "Hw-Rearmed" in (message.headers or {})


async def test_pings_are_heard_as_soon_as_a_gateway_is(stack: Stack) -> None:
    await clean(stack)
    async with running(stack, heartbeat_needs_gateway=True) as service:
        await eventually(lambda: service._deaf)
        assert not await stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.watch")

        await service.bus.signal(subjects.SIG_SERVICE_ALIVE.at(service="gateway"))

        assert await eventually(
            lambda: stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.watch")
        )


async def test_it_is_not_ready_when_pings_are_not_heard(stack: Stack) -> None:
    async with running(stack) as service:
        await service._ear.close()

        assert await eventually(service.unready) == ["the connection that hears pings is not up"]


async def test_the_sweep_finds_a_run_that_the_broker_lost(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run = await a_flow_run(stack.admin_pool)
    await ping(heartbeat, run)
    await eventually(lambda: last_seen(stack, run))
    await heartbeat.bus.js.purge_stream("BEATS")
    await eventually(lambda: heartbeat_is_overdue(stack, run))

    assert (await heartbeat.sweep()).zombies == 1
    assert (await heartbeat.sweep()).zombies == 0


async def test_the_broker_is_asked_for_the_newest_pings_of_many_runs_at_once(stack: Stack) -> None:
    heard, unheard = [new_id() for _ in range(60)], [new_id() for _ in range(60)]
    sent = utc_now()
    async with running(stack) as service:
        for run in heard:
            subject, headers, body = beat_message(TENANT, run, sent, timedelta(minutes=2))
            headers |= {
                REARMED_HEADER: "1"
            }  # not heard, or it would be disarmed: no such run is guarded
            await service.bus.js.publish(subject, body, headers=headers)

        newest = await service._newest_pings([silent(run) for run in (*heard, *unheard)])

    told = {run: ping and ping.sent for run, ping in newest.items()}
    assert told == dict.fromkeys(heard, sent) | dict.fromkeys(unheard)


async def test_a_stream_that_is_lost_says_nothing_of_anybodys_pings(stack: Stack) -> None:
    async with running(stack) as service:
        await service.bus.js.delete_stream("BEATS")
        try:
            assert await service._newest_pings([silent(new_id())]) == {}
        finally:
            await provision(stack.nats_url)


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

    # All silent at once is held for one more period: seven seconds, and less than an acknowledgement is waited for.
    await eventually(lambda: all_are_announced(stack, 120), timeout=30)


async def test_a_silence_that_the_broker_says_nothing_of_comes_back_within_seconds(
    stack: Stack, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = await a_flow_run(stack.admin_pool)
    unanswered = metrics.SILENCES.labels(Why.UNANSWERED)
    before = unanswered._value.get()

    async def twice() -> bool:
        return bool(unanswered._value.get() >= before + 2)

    with monkeypatch.context() as slow:
        slow.setattr(app, "ANSWER_WITHIN", 0.0)  # no broker is that fast
        await ping(heartbeat, dead)
        await eventually(twice)
        assert await zombies(stack) == {}

    assert await eventually(lambda: zombies(stack), timeout=10) == {dead: 3}


async def test_a_run_that_was_heard_by_a_replica_since_it_was_judged_is_not_announced(
    stack: Stack,
) -> None:
    """This replica was stopped between the look at the tables and the announcement."""
    await clean(stack)
    spoke, dead = await a_flow_run(stack.admin_pool), await a_flow_run(stack.admin_pool)
    async with running(stack) as service:
        for run in (spoke, dead):
            await changed(service, run, "Running")
            await eventually(partial(last_seen, stack, run))
        judged = [(silent(run), await last_seen(stack, run)) for run in (spoke, dead)]
        await stack.admin_pool.execute(
            "UPDATE heartbeat.last_seen SET at = clock_timestamp() WHERE flow_run_id = $1", spoke
        )
        await service.watch()

        assert await service._announce(judged, utc_now()) == {dead}


async def never_stored(service: Heartbeat, run: UUID) -> None:
    """A ping that the ears hear and the stream refuses, as one that comes faster than the broker stores."""
    subject, headers, body = beat_message(TENANT, run, utc_now(), SILENCE)
    refused = headers | {"Nats-Expected-Last-Sequence": "1"}
    await service.bus.client.publish(subject, body, headers=refused)


async def test_a_run_is_found_in_time_though_the_broker_is_late(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run = await a_flow_run(stack.admin_pool)
    subject, headers, body = beat_message(TENANT, run, utc_now(), timedelta(hours=1))
    await heartbeat.bus.js.publish(subject, body, headers=headers)
    began = heartbeat._moment()

    assert await eventually(lambda: zombies(stack)) == {run: 3}

    assert heartbeat._moment() - began >= SILENCE.total_seconds()


async def test_a_run_whose_pings_the_broker_loses_lives_as_long_as_it_is_heard(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    run = await a_flow_run(stack.admin_pool)
    alive = metrics.SILENCES.labels(Why.ALIVE)
    before = alive._value.get()
    await ping(heartbeat, run)

    async def was_said_to_be_silent() -> bool:
        await never_stored(heartbeat, run)
        return bool(alive._value.get() > before)

    await eventually(was_said_to_be_silent)
    assert await zombies(stack) == {}
    last = heartbeat._moment()

    assert await eventually(lambda: zombies(stack)) == {run: 3}
    assert heartbeat._moment() - last >= SILENCE.total_seconds() - 0.5


async def test_what_the_ear_heard_and_neither_broker_nor_tables_hold_is_a_sign_of_life(
    stack: Stack, heartbeat: Heartbeat
) -> None:
    """A ping that came while the row was fresh, and was lost by the broker."""
    spoke, dead = silent(new_id()), silent(new_id())
    zombies = [(run, run.seen) for run in (spoke, dead)]
    heartbeat._roll.hear(
        {str(spoke.flow_run_id).encode(): str(TENANT).encode()}, heartbeat._moment()
    )

    still, _ = await heartbeat._still_silent(zombies, {})

    assert still == [(dead, dead.seen)]


async def test_whom_another_replica_hears_is_left_alone(stack: Stack, heartbeat: Heartbeat) -> None:
    """Each of the two hears every other ping, and misses some runs for longer than the silence."""
    runs = [await a_flow_run(stack.admin_pool) for _ in range(40)]
    unheard = 0
    async with running(stack) as other:
        for service in (heartbeat, other):
            announce = service._announce_unheard

            async def counted(silent: list[UUID], announce: Any = announce) -> int:
                nonlocal unheard
                unheard += len(silent)
                return int(await announce(silent))

            service._announce_unheard = counted  # type: ignore[method-assign]

        async def some_were_missed() -> bool:
            for run in runs:
                await ping(heartbeat, run)
            return unheard >= 5

        await eventually(some_were_missed, timeout=60, pause=0.4)
        assert await zombies(stack) == {}


@asynccontextmanager
async def left_to_its_test(stack: Stack) -> AsyncIterator[Heartbeat]:
    """A service that has listened for an hour and does nothing by itself; its moment stands still at 1000 s."""
    await clean(stack)
    async with running(stack, heartbeat_watch=timedelta(seconds=0.4)) as service:
        for loop in service.loops:
            await loop.stop()
        service._moment = lambda: 1000.0  # type: ignore[method-assign]
        await service.watch()
        await stack.admin_pool.execute("UPDATE heartbeat.watch SET since = now() - interval '1 h'")
        yield service


async def stored_only(service: Heartbeat, run: UUID, sent: datetime) -> int:
    """A ping that another replica's ear heard; its place in the stream."""
    subject, headers, body = beat_message(TENANT, run, sent, timedelta(hours=1))
    unheard = headers | {REARMED_HEADER: "1"}
    return (await service.bus.js.publish(subject, body, headers=unheard)).seq


async def guarded_long_ago(stack: Stack) -> UUID:
    run = await a_flow_run(stack.admin_pool)
    await stack.admin_pool.execute(
        "INSERT INTO heartbeat.last_seen (flow_run_id, tenant_id, at) VALUES ($1, $2, now() - interval '1 h')",
        run,
        TENANT,
    )
    return run


@pytest.mark.parametrize(("silent_for", "announced"), [(1.7, 0), (2.1, 1)])
async def test_whom_another_replica_heard_last_is_not_announced_before_the_silence_is_whole(
    stack: Stack, silent_for: float, announced: int
) -> None:
    """Whom two speak for (the run's process, and an agent that watches it) pings at uneven times."""
    async with left_to_its_test(stack) as service:
        run = await guarded_long_ago(stack)
        place = await stored_only(service, run, utc_now() - timedelta(seconds=silent_for))
        at = 1000 - silent_for
        service._looks.appendleft(Look(moment=at, sequence=place, fired=0))

        assert await service._announce_unheard([run]) == announced


async def test_a_look_at_the_stream_that_took_long_does_not_make_pings_older_than_they_are(
    stack: Stack,
) -> None:
    """As when the process is stopped amid the look: a ping is stored that no ear reads yet."""
    async with left_to_its_test(stack) as service:
        place = 0

        async def stopped_for_a_minute(seconds: int) -> bool:
            nonlocal place
            service._moment = lambda: 1030.0  # type: ignore[method-assign]
            place = await stored_only(service, new_id(), utc_now())
            service._moment = lambda: 1060.0  # type: ignore[method-assign]
            return False

        service._ear.lags = stopped_for_a_minute  # type: ignore[method-assign]
        await service.watch()

        assert service._sequence_at(1029.0) < place
        assert service._sequence_at(1060.0) >= place


async def test_a_ping_does_not_grow_old_while_the_broker_is_asked_for_it(stack: Stack) -> None:
    """Its sender's clock is behind, so that only its place in the stream tells that it is new."""
    async with left_to_its_test(stack) as service:
        run = await guarded_long_ago(stack)
        place = await stored_only(service, run, utc_now() - timedelta(hours=1))
        service._looks.append(Look(moment=1000.0, sequence=place, fired=0))
        ask = service._newest_pings

        async def slowly(runs: Any) -> Any:
            told = await ask(runs)
            service._moment = lambda: 1030.0  # type: ignore[method-assign]
            return told

        service._newest_pings = slowly  # type: ignore[method-assign]

        assert await service._announce_unheard([run]) == 0


async def test_who_was_stopped_between_the_last_look_and_the_announcement_announces_nobody(
    stack: Stack,
) -> None:
    """There was no other replica to write the ping that came meanwhile."""
    await clean(stack)
    dead = await a_flow_run(stack.admin_pool)
    judged = [(silent(dead), utc_now() - SILENCE)]
    async with running(stack) as service:
        await service.watch()
        await service._watch.stop()
        await stack.admin_pool.execute("UPDATE heartbeat.watch SET at = now() - interval '1 hour'")

        assert await service._announce(judged, utc_now()) == set()

        await service.watch()
        assert await service._announce(judged, utc_now()) == {dead}


async def test_mass_silence_is_held_for_one_more_period(stack: Stack) -> None:
    await clean(stack)
    async with running(stack, heartbeat_mass_runs=5) as service:
        await eventually(lambda: has_listened(stack))
        for _ in range(6):
            await ping(service, await a_flow_run(stack.admin_pool))
        began = service._moment()

        await eventually(lambda: zombies(stack), timeout=15)

        assert service._moment() - began > 2 * SILENCE.total_seconds() - 0.5
        await eventually(lambda: all_are_announced(stack, 6))


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
