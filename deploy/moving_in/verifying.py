"""`verify`: per table, the count and a digest that does not depend on the order, on both sides."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from deploy.moving_in.peer import Peer, open_peer
from deploy.moving_in.tables import FINISHED, REGISTRY, RUNS, Moved
from deploy.moving_in.target import open_target

_DIGEST = "SELECT count(*), coalesce(sum(('x' || left(md5(x::text), 15))::bit(60)::bigint), 0) FROM ({rows}) x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One table on both sides."""

    table: str
    peer: int
    here: int
    left_out: int
    equal: bool


async def verify(peer_url: str, target_url: str) -> list[Compared]:
    """Compare every table in the columns that are copies; rows that were left out are compared on neither side.

    Runs that go on at the peer are not here yet, so they are not compared. Exact when the peer stands still.
    """
    async with open_target(target_url) as target, open_peer(peer_url) as peer:
        here = target.connection
        skipped = None
        if await here.fetchval("SELECT finished IS NOT NULL FROM moving_in.progress"):
            rows = await here.fetch("SELECT id FROM moving_in.left_out WHERE source = 'flow_run'")
            skipped = [row["id"] for row in rows]
        return [await _compared(peer, here, table, skipped) for table in (*REGISTRY, *RUNS)]


async def _compared(
    peer: Peer, here: "asyncpg.Connection[asyncpg.Record]", table: Moved, skipped: list[UUID] | None
) -> Compared:
    rows = await here.fetch("SELECT id FROM moving_in.left_out WHERE source = $1", table.name)
    left = [row["id"] for row in rows]
    theirs = await _of_peer(peer, table, left, skipped)
    names = ", ".join(f'"{n}"' for n in table.compared)
    tenant = "id" if table.name == "tenant" else "tenant_id"
    sql = f"SELECT {names} FROM {table.target} WHERE {tenant} IN (SELECT id FROM moving_in.tenant)"
    ours = await here.fetchrow(_DIGEST.format(rows=sql))
    assert ours is not None  # noqa: S101 - an aggregate has one row
    return Compared(
        table=table.name, peer=theirs[0], here=ours[0], left_out=len(left), equal=theirs == tuple(ours)
    )  # fmt: skip


async def _of_peer(
    peer: Peer, table: Moved, left: list[UUID], skipped: list[UUID] | None
) -> tuple[int, int]:
    """Before `finish` of the finished runs, and after it (`skipped`) of all but those that were left out."""
    if table.name not in peer.columns:
        return 0, 0
    moved = "{0}state = ANY($2::text[])" if skipped is None else "{0}id <> ALL($2::uuid[])"
    those = f"SELECT r.id FROM public.flow_run r WHERE {moved.format('r.')}"
    of_runs = {
        "id": moved.format("t."),
        "flow_run_id": f"t.flow_run_id IN ({those})",
        "task_run_id": f"t.task_run_id IN (SELECT k.id FROM public.task_run k WHERE k.flow_run_id IN ({those}))",
    }
    which = of_runs[table.run] if table.run else "cardinality($2::text[]) IS NOT NULL"
    values = ", ".join(f'{value} AS "{name}"' for name, value in table.compared.items())
    rows = f"""SELECT {values} FROM (SELECT {table.select(peer.columns[table.name])} FROM public.{table.name} t
        WHERE t.id <> ALL($1::uuid[]) AND {which}) s"""
    second = list(FINISHED) if skipped is None or table.run is None else skipped
    found = await peer.connection.fetchrow(_DIGEST.format(rows=rows), left, second)
    assert found is not None  # noqa: S101 - an aggregate has one row
    return found[0], found[1]
