"""`check`: what there is to import, and what of it is odd. Reads only the peer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from deploy.moving_in.peer import Peer, open_peer
from deploy.moving_in.tables import FINISHED, REGISTRY, RUNS
from services.scheduler.domain.schedules import parse

QUIRKS: dict[str, tuple[str, str]] = {
    "flow runs without a state": ("flow_run", "SELECT count(*) FROM flow_run WHERE state IS NULL"),
    "task runs without a state": ("task_run", "SELECT count(*) FROM task_run WHERE state IS NULL"),
    "runs whose idempotency key a newer one has": (
        "flow_run",
        """SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM flow_run WHERE idempotency_key IS NOT NULL
        GROUP BY flow_id, idempotency_key HAVING count(*) > 1) repeated""",
    ),
    "flow groups of one tenant and name": (
        "flow_group",
        """SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM flow_group WHERE name IS NOT NULL
        GROUP BY tenant_id, name HAVING count(*) > 1) twins""",
    ),
    "flow groups without flows": (
        "flow_group",
        "SELECT count(*) FROM flow_group g WHERE NOT EXISTS (SELECT FROM flow f WHERE f.flow_group_id = g.id)",
    ),
    "flows of one group and version": (
        "flow",
        """SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM flow GROUP BY flow_group_id, version
        HAVING count(*) > 1) equal""",
    ),
    "flow run states without a version": (
        "flow_run_state", "SELECT count(*) FROM flow_run_state WHERE version IS NULL",
    ),
    "task run states without a version": (
        "task_run_state", "SELECT count(*) FROM task_run_state WHERE version IS NULL",
    ),
    "log lines of no flow run": ("log", "SELECT count(*) FROM log WHERE flow_run_id IS NULL"),
    "agents of one identity": (
        "agent",
        """SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM agent
        GROUP BY tenant_id, name, type, core_version, labels HAVING count(*) > 1) equal""",
    ),
    "cloud hooks, whose secrets are in clear and which stay off": ("cloud_hook", "SELECT count(*) FROM cloud_hook"),
}  # fmt: skip
"""What the import changes or leaves out: the table that it is about, and how it is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The report. `live` are the runs that have not finished, by state, with the oldest age in hours."""

    release: str
    tables: list[dict[str, Any]]
    oldest: datetime | None
    newest: datetime | None
    quirks: dict[str, int]
    live: list[dict[str, Any]]
    schedules: list[dict[str, Any]]
    """The active schedules that cannot be read, with the reason."""


async def check(peer_url: str) -> Checked:
    """Look at the peer."""
    async with open_peer(peer_url) as peer:
        span = await peer.connection.fetchrow("SELECT min(created), max(created) FROM flow_run")
        assert span is not None  # noqa: S101 - an aggregate has one row
        return Checked(
            release=peer.release,
            tables=[
                await _size(peer, t.name) for t in (*REGISTRY, *RUNS) if t.name in peer.columns
            ],
            oldest=span[0],
            newest=span[1],
            quirks={
                name: int(await peer.connection.fetchval(sql))
                for name, (table, sql) in QUIRKS.items()
                if table in peer.columns
            },
            live=[dict(row) for row in await peer.connection.fetch(_LIVE, list(FINISHED))],
            schedules=await unreadable_schedules(peer),
        )


_LIVE = """
SELECT coalesce(state, 'none') AS state, count(*) AS runs,
    round(extract(epoch FROM now() - min(coalesce(state_start_time, state_timestamp, created)))::numeric / 3600, 1)
        AS oldest_hours
FROM flow_run WHERE NOT coalesce(state = ANY($1::text[]), false) GROUP BY 1 ORDER BY 1
"""


async def _size(peer: Peer, name: str) -> dict[str, Any]:
    row = await peer.connection.fetchrow(
        f"SELECT count(*) AS rows, pg_total_relation_size('public.{name}') AS bytes FROM public.{name}"
    )
    assert row is not None  # noqa: S101 - an aggregate has one row
    return {"table": name, "rows": row["rows"], "bytes": row["bytes"]}


async def unreadable_schedules(peer: Peer) -> list[dict[str, Any]]:
    """The active schedules that Headwater cannot read, with the reason."""
    rows = await peer.connection.fetch(
        """SELECT f.id, f.name, coalesce(nullif(g.schedule, 'null'), f.schedule)::text AS schedule
        FROM flow f JOIN flow_group g ON g.id = f.flow_group_id
        WHERE f.is_schedule_active AND NOT f.archived
          AND coalesce(nullif(g.schedule, 'null'), nullif(f.schedule, 'null')) IS NOT NULL ORDER BY f.name, f.id"""
    )
    found = []
    for row in rows:
        try:
            parse(orjson.loads(row["schedule"])).next(1, after=_ANY_TIME)
        except ValueError as error:
            found.append({"flow": row["id"], "name": row["name"], "reason": str(error)})
    return found


_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
