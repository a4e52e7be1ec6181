"""`copy`, `follow` and `finish`: the registry, then the finished runs, newest first, in batches that are each done or
not begun; the live runs and the schedules last, in one transaction."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from deploy.moving_in.checking import unreadable_schedules
from deploy.moving_in.peer import Peer, open_peer
from deploy.moving_in.tables import FINISHED, REGISTRY, RUNS
from deploy.moving_in.target import MovingError, Target, open_target
from libs.runtime.database import statement

BATCH = 500
"""Runs of a batch: some thousands of states, a second of work, and what a killed command does again."""

Tell = Callable[[int, int], None]
"""Called with the runs done and the runs in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command has done."""

    runs: int
    deleted: int
    left_out: dict[str, int]
    """Rows that were left out so far, by "table: reason"."""


async def copy(
    peer_url: str, target_url: str, *, batch: int = BATCH, tell: Tell = lambda *_: None
) -> Outcome:
    """Copy the registry and all runs that have finished. Called again, it goes on where it was."""
    async with open_target(target_url) as target, open_peer(peer_url) as peer:
        await _may_begin(target, peer_url)
        await target.connection.execute(statement(__file__, "imported_partitions"))
        await target.connection.execute(
            "INSERT INTO moving_in.progress (peer, watermark) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            _name(peer_url),
            peer.watermark,
        )
        await _registry(peer, target)
        await _plan(peer, target)
        runs = await _runs_to_copy(peer, target, batch=batch, tell=tell)
        return Outcome(runs=runs, deleted=0, left_out=await _left_out(target))


async def follow(
    peer_url: str, target_url: str, *, batch: int = BATCH, tell: Tell = lambda *_: None
) -> Outcome:
    """Bring what has changed at the peer since the last round: runs that finished, were changed or are gone."""
    async with open_target(target_url) as target, open_peer(peer_url) as peer:
        await _may_begin(target, peer_url)
        since = await target.connection.fetchval("SELECT watermark FROM moving_in.progress")
        if since is None:
            msg = "nothing was copied yet; run copy first"
            raise MovingError(msg)
        await _registry(peer, target)
        changed = await peer.changed_since(since)
        await target.connection.execute(
            "UPDATE moving_in.flow_run SET copied = false WHERE id = ANY($1)", changed
        )
        await _plan(peer, target)
        deleted = await _delete_the_gone(peer, target)
        runs = await _runs_to_copy(peer, target, batch=batch, tell=tell)
        await target.connection.execute(
            "UPDATE moving_in.progress SET watermark = $1", peer.watermark
        )
        return Outcome(runs=runs, deleted=deleted, left_out=await _left_out(target))


async def finish(
    peer_url: str, target_url: str, *, batch: int = BATCH, tell: Tell = lambda *_: None
) -> Outcome:
    """The last round: follow, then the live runs and the active schedules. The peer's services must be stopped.

    Runs that the peer had planned are left out: Headwater's planner makes its own, after its next tick. So an instant
    between this transaction and that tick is missing, which the page (README.md) says.
    """
    before = await follow(peer_url, target_url, batch=batch, tell=tell)
    async with open_target(target_url) as target, open_peer(peer_url) as peer:
        await _may_begin(target, peer_url)
        connection = target.connection
        async with connection.transaction():
            live = await peer.connection.fetch(statement(__file__, "live_runs"), list(FINISHED))
            await connection.execute(
                """INSERT INTO moving_in.left_out (source, id, reason)
                SELECT 'flow_run', id, 'planned; Headwater plans this instant itself' FROM unnest($1::uuid[]) id""",
                [row["id"] for row in live if row["planned"]],
            )
            moving = [row["id"] for row in live if not row["planned"]]
            for at in range(0, len(moving), batch):
                async with _read(peer, moving[at : at + batch]) as (found, files):
                    await target.put_runs(found, files)
            await _activate(peer, target)
            await connection.execute("UPDATE moving_in.progress SET finished = now()")
        return Outcome(
            runs=before.runs + len(moving), deleted=before.deleted, left_out=await _left_out(target)
        )  # fmt: skip


async def _activate(peer: Peer, target: Target) -> None:
    """Switch the schedules on that were on, but for those that cannot be read: they stay off, and are named."""
    unreadable = await unreadable_schedules(peer)
    active = await peer.connection.fetch("SELECT id FROM public.flow WHERE is_schedule_active")
    await target.connection.execute(
        "UPDATE registry.flow SET is_schedule_active = true WHERE id = ANY($1) AND id <> ALL($2)",
        [row["id"] for row in active],
        [each["flow"] for each in unreadable],
    )
    await target.connection.executemany(
        "INSERT INTO moving_in.left_out (source, id, reason) VALUES ('flow.is_schedule_active', $1, $2)",
        [(each["flow"], f"the schedule cannot be read: {each['reason']}") for each in unreadable],
    )


def _name(url: str) -> str:
    """Where a peer is, without user and password."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


async def _may_begin(target: Target, peer_url: str) -> None:
    row = await target.connection.fetchrow("SELECT peer, finished FROM moving_in.progress")
    if row is None:
        return
    if row["finished"] is not None:
        msg = f"the import was finished at {row['finished']:%Y-%m-%d %H:%M} UTC; what is here now is Headwater's"
        raise MovingError(msg)
    if row["peer"] != _name(peer_url):
        msg = f"an import from {row['peer']} has begun; only that one can go on"
        raise MovingError(msg)


async def _registry(peer: Peer, target: Target) -> None:
    with ExitStack() as stack:
        files = {table.name: stack.enter_context(await peer.read(table)) for table in REGISTRY}
        await target.put_registry(files)


async def _plan(peer: Peer, target: Target) -> None:
    """Note the runs that have finished, and whose idempotency keys are given to newer ones."""
    connection = target.connection
    async with connection.transaction():
        await _fill_seen(peer, connection, finished=True)
        await connection.execute(
            "INSERT INTO moving_in.flow_run (id, created) SELECT id, created FROM seen ON CONFLICT DO NOTHING"
        )
        await connection.execute(
            """INSERT INTO moving_in.left_out (source, id, reason)
            SELECT 'flow_run.idempotency_key', id, 'a newer run of the flow has the key' FROM unnest($1::uuid[]) id
            ON CONFLICT DO NOTHING""",
            await peer.repeated_keys(),
        )


async def _fill_seen(
    peer: Peer, connection: "asyncpg.Connection[asyncpg.Record]", *, finished: bool
) -> None:
    await connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS seen (id uuid PRIMARY KEY, created timestamptz)"
    )
    await connection.execute("TRUNCATE seen")
    with await peer.runs(finished=finished) as file:
        await connection.copy_to_table(
            "seen", source=file, columns=["id", "created"], format="binary"
        )
    await connection.execute("ANALYZE seen")


async def _delete_the_gone(peer: Peer, target: Target) -> int:
    """Delete the runs that the peer has deleted. One that goes on there is left until it finishes."""
    connection = target.connection
    async with connection.transaction():
        await _fill_seen(peer, connection, finished=True)
        rows = await connection.fetch(
            "SELECT id FROM moving_in.flow_run m WHERE NOT EXISTS (SELECT FROM seen WHERE seen.id = m.id)"
        )
        candidates = [row["id"] for row in rows]
        alive = await peer.connection.fetch(
            "SELECT id FROM public.flow_run WHERE id = ANY($1)", candidates
        )
        gone = sorted({*candidates} - {row["id"] for row in alive})
        if gone:
            await target.remove(gone)
            await connection.execute("DELETE FROM moving_in.flow_run WHERE id = ANY($1)", gone)
        return len(gone)


async def _runs_to_copy(peer: Peer, target: Target, *, batch: int, tell: Tell) -> int:
    total = await target.connection.fetchval(
        "SELECT count(*) FROM moving_in.flow_run WHERE NOT copied"
    )
    done = 0
    async for runs in _batches(target, batch):
        async with _read(peer, await _finished_of(peer, runs)) as (found, files):
            await target.put_runs(found, files)
        await target.connection.execute(
            "UPDATE moving_in.flow_run SET copied = true WHERE id = ANY($1)", runs
        )
        done += len(runs)
        tell(done, total)
    return done


async def _batches(target: Target, size: int) -> AsyncIterator[Sequence[UUID]]:
    while True:
        rows = await target.connection.fetch(
            "SELECT id FROM moving_in.flow_run WHERE NOT copied ORDER BY created DESC, id LIMIT $1",
            size,
        )
        if not rows:
            return
        yield [row["id"] for row in rows]


async def _finished_of(peer: Peer, runs: Sequence[UUID]) -> list[UUID]:
    """Those that have finished: one that was restarted since it was noted comes with its next end."""
    rows = await peer.connection.fetch(
        "SELECT id FROM public.flow_run WHERE id = ANY($1) AND state = ANY($2::text[])",
        runs,
        list(FINISHED),
    )
    return [row["id"] for row in rows]


@asynccontextmanager
async def _read(
    peer: Peer, runs: list[UUID]
) -> AsyncIterator[tuple[list[UUID], dict[str, BinaryIO]]]:
    with ExitStack() as stack:
        yield (
            runs,
            {
                table.name: stack.enter_context(await peer.read_of_runs(table, runs))
                for table in RUNS
            },
        )


async def _left_out(target: Target) -> dict[str, int]:
    rows = await target.connection.fetch(
        "SELECT source || ': ' || reason AS why, count(*) FROM moving_in.left_out GROUP BY 1 ORDER BY 1"
    )
    return {row["why"]: row["count"] for row in rows}
