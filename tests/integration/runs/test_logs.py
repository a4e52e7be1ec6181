"""Logs: every line once, in order, capped where a run prints without end."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from nats.aio.msg import Msg

from libs.contracts import subjects
from libs.contracts.runs import LogBatch, LogLine
from libs.runtime import metrics
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs import logs
from services.runs.app import Runs
from services.runs.log_rows import rows_of
from services.runs.logs import LogDrain
from tests.support.engines import Stack
from tests.support.eventually import eventually


def batch(run_id: UUID | None, lines: int, *, tenant_id: UUID, **fields: Any) -> LogBatch:
    now = utc_now()
    return LogBatch(
        tenant_id=tenant_id,
        accepted=now,
        lines=[
            LogLine(
                **{
                    "id": new_id(),
                    "flow_run_id": run_id,
                    "timestamp": now,
                    "message": f"line {n}",
                    "name": "prefect",
                }
                | fields
            )
            for n in range(lines)
        ],
    )


async def publish(bus: Bus, body: bytes, *, tenant_id: UUID, run_id: UUID | None) -> None:
    subject = subjects.LINES.at(tenant_id=tenant_id, flow_run_id=run_id or "none")
    await bus.js.publish(subject, body, stream="LOGS")


async def messages(stack: Stack, run_id: UUID) -> list[str]:
    rows = await stack.admin_pool.fetch(
        "SELECT message FROM runs.log WHERE flow_run_id = $1 ORDER BY timestamp, sequence", run_id
    )
    return [row["message"] for row in rows]


async def drained(bus: Bus) -> bool:
    info = await bus.js.stream_info("LOGS")
    return info.state.messages == 0


async def test_lines_of_one_moment_keep_their_order_and_a_redelivery_adds_nothing(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id, tenant_id = new_id(), new_id()
    first = batch(run_id, 50, tenant_id=tenant_id).model_dump_json().encode()

    for _ in range(3):
        await publish(bus, first, tenant_id=tenant_id, run_id=run_id)
    await eventually(lambda: drained(bus))

    assert await messages(stack, run_id) == [f"line {n}" for n in range(50)]
    usage = await stack.admin_pool.fetchrow(
        "SELECT lines, dropped FROM runs.log_usage WHERE flow_run_id = $1", run_id
    )
    assert usage is not None
    assert tuple(usage) == (50, 0)


async def test_a_batch_with_old_and_new_lines_adds_the_new_ones(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id, tenant_id = new_id(), new_id()
    old, new = batch(run_id, 3, tenant_id=tenant_id), batch(run_id, 2, tenant_id=tenant_id)

    await ledger.drain.write(rows_of(old, sequence=1))
    await ledger.drain.write([*rows_of(old, sequence=1), *rows_of(new, sequence=2)])

    assert await messages(stack, run_id) == ["line 0", "line 1", "line 2", "line 0", "line 1"]


async def test_new_lines_that_come_twice_in_one_batch_are_written_once(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id = new_id()
    lines = batch(run_id, 3, tenant_id=new_id())

    await ledger.drain.write([*rows_of(lines, sequence=1), *rows_of(lines, sequence=2)])

    assert await messages(stack, run_id) == ["line 0", "line 1", "line 2"]


async def test_lines_in_the_name_of_another_tenant_are_buried(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id, tenant_id, intruder = new_id(), new_id(), new_id()
    forged = batch(run_id, 1, tenant_id=tenant_id, message="forged").model_dump_json().encode()

    await publish(bus, forged, tenant_id=intruder, run_id=run_id)
    await eventually(lambda: drained(bus))

    assert await messages(stack, run_id) == []
    dead_letter = await bus.js.get_last_msg(
        "DLQ", subjects.DLQ.at(service="runs", noun="runs__logs")
    )
    assert dead_letter.data == forged


async def test_lines_under_a_run_of_another_tenant_use_up_nothing_of_its_cap(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id, tenant_id, intruder = new_id(), new_id(), new_id()

    await ledger.drain.write(rows_of(batch(run_id, 2, tenant_id=tenant_id), sequence=1))
    await ledger.drain.write(rows_of(batch(run_id, 3, tenant_id=intruder), sequence=2))

    used = await stack.admin_pool.fetchval(
        "SELECT lines FROM runs.log_usage WHERE flow_run_id = $1", run_id
    )
    assert used == 2


async def test_moments_that_utc_does_not_have_hold_nobodys_lines_up(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id, tenant_id = new_id(), new_id()
    beyond = datetime.fromisoformat("9999-12-31T23:59:59-12:00")
    odd = batch(run_id, 1, tenant_id=tenant_id, message="odd line", timestamp=beyond)
    never = batch(run_id, 1, tenant_id=tenant_id).model_copy(update={"accepted": beyond})

    for given in (odd, never, batch(run_id, 1, tenant_id=tenant_id, message="a line")):
        body = given.model_dump_json().encode()
        await publish(bus, body, tenant_id=tenant_id, run_id=run_id)
    await eventually(lambda: drained(bus))

    assert await messages(stack, run_id) == ["odd line", "a line"]


async def test_a_message_that_is_no_log_batch_is_buried_alone(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id, tenant_id = new_id(), new_id()
    good = batch(run_id, 2, tenant_id=tenant_id).model_dump_json().encode()

    await publish(bus, b"{not json", tenant_id=tenant_id, run_id=run_id)
    await publish(bus, good, tenant_id=tenant_id, run_id=run_id)
    await eventually(lambda: drained(bus))

    assert await messages(stack, run_id) == ["line 0", "line 1"]
    dead_letter = await bus.js.get_last_msg(
        "DLQ", subjects.DLQ.at(service="runs", noun="runs__logs")
    )
    assert dead_letter.data == b"{not json"


async def test_lines_that_postgres_cannot_hold_are_kept_without_what_it_cannot(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id, tenant_id = new_id(), new_id()
    lines = batch(
        run_id, 1, tenant_id=tenant_id, message="a\x00b", info={"x": "\x00", "n": 10**30},
        timestamp=datetime(2026, 1, 1),  # noqa: DTZ001 - a client that sends no offset
    )  # fmt: skip

    await ledger.drain.write(rows_of(lines, sequence=1))

    row = await stack.admin_pool.fetchrow(
        "SELECT message, info FROM runs.log WHERE flow_run_id = $1", run_id
    )
    assert row is not None
    assert row["message"] == "a�b"
    assert row["info"] == f'{{"x":"�","n":{10**30}}}'


async def test_a_bad_line_of_an_agent_costs_no_other(stack: Stack, bus: Bus, ledger: Runs) -> None:
    run_id, tenant_id = new_id(), new_id()
    whole = batch(run_id, 4, tenant_id=tenant_id).model_dump(mode="json")
    whole["lines"][1]["message"] = "caf\ud8e9"
    whole["lines"][2]["id"] = "none"
    body = json.dumps(whole).encode()

    await publish(bus, body, tenant_id=tenant_id, run_id=run_id)
    await eventually(lambda: drained(bus))

    assert await messages(stack, run_id) == ["line 0", "caf�", "line 3"]
    dead_letter = await bus.js.get_last_msg(
        "DLQ", subjects.DLQ.at(service="runs", noun="runs__logs")
    )
    assert dead_letter.data == body


async def test_lines_of_no_run_are_kept(stack: Stack, bus: Bus, ledger: Runs) -> None:
    tenant_id = new_id()
    await publish(
        bus,
        batch(None, 2, tenant_id=tenant_id).model_dump_json().encode(),
        tenant_id=tenant_id,
        run_id=None,
    )
    await eventually(lambda: drained(bus))

    count = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.log WHERE tenant_id = $1", tenant_id
    )
    assert count == 2


async def test_a_run_that_prints_without_end_is_cut_off_and_says_so_once(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    noisy, quiet, tenant_id = new_id(), new_id(), new_id()
    drain = LogDrain(
        ledger.database,
        ledger.bus,
        ledger.drain.durable,
        cap=5,
        per_minute=100,
        clock=utc_now,
        ids=new_id,
    )
    before = metrics.LOG_LINES_DROPPED._value.get()

    for sequence in (1, 2, 3):
        await drain.write(
            [
                *rows_of(batch(noisy, 3, tenant_id=tenant_id), sequence=sequence),
                *rows_of(batch(quiet, 1, tenant_id=tenant_id), sequence=sequence),
            ]
        )

    lines = await messages(stack, noisy)
    assert lines[:3] == ["line 0", "line 1", "line 2"]
    assert sorted(lines[3:]) == [
        "This run has 5 log lines, as many as are kept; further ones are dropped.",
        "line 0",
        "line 1",
    ]
    assert len(await messages(stack, quiet)) == 3
    usage = await stack.admin_pool.fetchrow(
        "SELECT lines, dropped FROM runs.log_usage WHERE flow_run_id = $1", noisy
    )
    assert usage is not None
    assert tuple(usage) == (5, 4)
    assert metrics.LOG_LINES_DROPPED._value.get() - before == 4


async def test_a_run_that_floods_is_slowed_and_says_so_once_a_minute(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    noisy, quiet, tenant_id = new_id(), new_id(), new_id()
    now = [1_000.0]
    drain = LogDrain(
        ledger.database, ledger.bus, ledger.drain.durable, cap=1_000, clock=utc_now, ids=new_id,
        per_minute=4, monotonic=lambda: now[0],
    )  # fmt: skip
    before = metrics.LOG_LINES_DROPPED._value.get()

    async def prints(sequence: int) -> None:
        await drain.write(
            [
                *rows_of(batch(noisy, 3, tenant_id=tenant_id), sequence=sequence),
                *rows_of(batch(quiet, 1, tenant_id=tenant_id), sequence=sequence),
            ]
        )

    for sequence in (1, 2, 3):
        await prints(sequence)
    in_a_minute = await messages(stack, noisy)
    now[0] += 60
    await prints(4)

    said = (
        "This run has written more than 4 log lines within a minute; "
        "further ones of this minute are dropped."
    )
    assert sorted(in_a_minute) == sorted(["line 0", "line 1", "line 2", "line 0", said])
    assert len(await messages(stack, noisy)) == 8
    assert len(await messages(stack, quiet)) == 4
    assert metrics.LOG_LINES_DROPPED._value.get() - before == 5


async def test_lines_can_be_read_within_a_second(stack: Stack, bus: Bus, ledger: Runs) -> None:
    tenant_id = new_id()

    async def seconds() -> float:
        """From the publishing of some lines until they can be read."""
        run_id = new_id()
        body = batch(run_id, 10, tenant_id=tenant_id).model_dump_json().encode()

        async def readable() -> bool:
            return len(await messages(stack, run_id)) == 10

        began = monotonic()
        await publish(bus, body, tenant_id=tenant_id, run_id=run_id)
        await eventually(readable)
        took = monotonic() - began
        await eventually(lambda: drained(bus))
        return took

    # Of some, one: a machine that stands still for a second is no fault of the drain, which would be late each time.
    fastest = min([await seconds() for _ in range(5)])

    assert fastest < 1


async def test_what_of_a_flood_is_written_is_not_counted_again_when_the_rest_fails(
    stack: Stack, bus: Bus, ledger: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_ROWS", 3)
    run_id, tenant_id = new_id(), new_id()
    drain = LogDrain(
        ledger.database,
        ledger.bus,
        ledger.drain.durable,
        cap=2,
        per_minute=100,
        clock=utc_now,
        ids=new_id,
    )
    flood = [
        Msg(
            bus.client,
            subject=subjects.LINES.at(tenant_id=tenant_id, flow_run_id=run_id),
            reply=f"$JS.ACK.LOGS.runs__logs.1.{place}.{place}.1.0",
            data=batch(run_id, 3, tenant_id=tenant_id).model_dump_json().encode(),
        )
        for place in (1, 2)
    ]
    # What is counted when it is written is in the metrics; a reader may see the lines before that.
    await eventually(lambda: drained(bus))
    before = counted()

    async with no_room(stack):
        with pytest.raises(asyncpg.DiskFullError):
            await drain.handle(flood)
    await drain.handle([message for message in flood if not message._ackd])

    dropped = await stack.admin_pool.fetchval(
        "SELECT dropped FROM runs.log_usage WHERE flow_run_id = $1", run_id
    )
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [6, 4]
    assert dropped == 4


def counted() -> tuple[float, float]:
    """What the metrics say: lines taken from the stream, lines dropped."""
    return metrics.LOG_LINES_STORED._value.get(), metrics.LOG_LINES_DROPPED._value.get()


@asynccontextmanager
async def no_room(stack: Stack) -> AsyncIterator[None]:
    """PostgreSQL counts no lines of a run that has lost some."""
    await stack.admin_pool.execute(
        """
        CREATE FUNCTION runs.no_room() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER no_room BEFORE UPDATE ON runs.log_usage
        FOR EACH ROW WHEN (new.dropped > 1) EXECUTE FUNCTION runs.no_room()
        """
    )
    try:
        yield
    finally:
        await stack.admin_pool.execute("DROP FUNCTION runs.no_room CASCADE")


async def test_a_flood_is_written_in_parts_that_hold_nobody_up_for_long(
    stack: Stack, bus: Bus, ledger: Runs
) -> None:
    run_id, tenant_id = new_id(), new_id()

    await ledger.drain.handle(
        [
            Msg(
                bus.client,
                subject=subjects.LINES.at(tenant_id=tenant_id, flow_run_id=run_id),
                reply=f"$JS.ACK.LOGS.runs__logs.1.{place}.{place}.1.0",
                data=batch(run_id, 2_000, tenant_id=tenant_id).model_dump_json().encode(),
            )
            for place in range(1, 5)
        ]
    )

    written = await stack.admin_pool.fetch(
        "SELECT count(*) FROM runs.log WHERE flow_run_id = $1 GROUP BY xmin::text ORDER BY 1",
        run_id,
    )
    assert [row["count"] for row in written] == [2_000, 6_000]
