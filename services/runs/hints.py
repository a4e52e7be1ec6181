"""Hints for whoever watches: task runs that moved and agents that changed, sent once a twentieth of a second.

Nothing depends on them (`libs.contracts.runs.Changed`), so nothing waits for them. A commit only hands over the list
that it has anyway; what each transition costs beyond that is paid later, once for all commits of a tenant.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import nats.errors
import orjson

from libs.contracts import subjects
from libs.runtime.background import Background
from libs.runtime.bus import Bus
from libs.runtime.database import Database
from services.runs.domain.transitions import TaskRun, TaskRunMoved

GATHERED = 0.05
"""Seconds; whatever is committed within them is one message a tenant."""
_MOST_IN_MESSAGE = 1_000
"""Task runs; 170 KB. Gateways tell of more than twice as many at once only that much has changed."""
_MOST_GATHERED = 20_000
"""Moves that wait to be sent. More come together only when this process stands still, and hints may be lost."""
_MOST_SILENT = 10_000
"""Agents whose return is waited for."""
_REMEMBERED = timedelta(days=1)
"""How far back a ledger that has just started looks for silent agents."""

Moves = Sequence[tuple[UUID, TaskRunMoved]]


class Hints:
    """Gathers what changed and publishes it. All of it happens on one event loop."""

    def __init__(self, bus: Bus, background: Background) -> None:
        self._bus = bus
        self._background = background
        self._moves: list[Moves] = []
        self._gathered = 0
        self._agents: dict[UUID, set[UUID]] = {}
        self._due: asyncio.TimerHandle | None = None

    def task_runs_moved(self, moves: Moves) -> None:
        """These have committed. Nobody changes the list any more."""
        if self._gathered < _MOST_GATHERED:
            self._moves.append(moves)
            self._gathered += len(moves)
            self._plan()

    def agent_changed(self, tenant_id: UUID, agent_id: UUID) -> None:
        """An agent is new, gone, silent or back."""
        self._agents.setdefault(tenant_id, set()).add(agent_id)
        self._plan()

    def close(self) -> None:
        """Tell nothing more; what is gathered is lost, as hints may be."""
        if self._due is not None:
            self._due.cancel()

    def _plan(self) -> None:
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(GATHERED, self._tell)

    def _tell(self) -> None:
        self._due = None
        moves, self._moves, self._gathered = self._moves, [], 0
        agents, self._agents = self._agents, {}
        self._background.run(self._publish(newest(moves), agents))

    async def _publish(
        self, task_runs: dict[UUID, list[TaskRun]], agents: dict[UUID, set[UUID]]
    ) -> None:
        with suppress(nats.errors.Error, OSError):
            for tenant_id, moved in task_runs.items():
                for start in range(0, len(moved), _MOST_IN_MESSAGE):
                    part = moved[start : start + _MOST_IN_MESSAGE]
                    await self._signal(tenant_id, {"task_runs": [_as_json(run) for run in part]})
            for tenant_id, changed in agents.items():
                await self._signal(tenant_id, {"agents": [str(agent) for agent in changed]})

    async def _signal(self, tenant_id: UUID, body: dict[str, object]) -> None:
        await self._bus.signal(subjects.SIG_CHANGED.at(tenant_id=tenant_id), orjson.dumps(body))


def newest(moves: Sequence[Moves]) -> dict[UUID, list[TaskRun]]:
    """Each task run as it is after its last move, by tenant. Lanes commit in any order: the version decides."""
    last: dict[UUID, TaskRun] = {}
    for part in moves:
        for _, moved in part:
            known = last.get(moved.run.id)
            if known is None or known.version < moved.run.version:
                last[moved.run.id] = moved.run
    by_tenant: dict[UUID, list[TaskRun]] = {}
    for run in last.values():
        by_tenant.setdefault(run.tenant_id, []).append(run)
    return by_tenant


def _as_json(run: TaskRun) -> dict[str, object]:
    # asyncpg's ids are of its own class, which orjson does not know.
    return {
        "id": str(run.id),
        "flow_run_id": str(run.flow_run_id),
        "version": run.version,
        "state": run.state,
    }


class AgentWatch:
    """Notices agents that fall silent, and those that are heard of again."""

    def __init__(self, database: Database, hints: Hints, silent_after: timedelta) -> None:
        self._database = database
        self._hints = hints
        self._silent_after = silent_after
        self._looked_until: datetime | None = None
        self._silent: set[UUID] = set()

    async def look(self, now: datetime) -> int:
        """Hint at the agents that fell silent or came back since the last look; how many."""
        until = now - self._silent_after
        since = self._looked_until or until - _REMEMBERED
        rows = await self._database.pool.fetch(
            """
            SELECT id, tenant_id, last_queried <= $2 AS is_silent FROM runs.agent
            WHERE (last_queried > $1 AND last_queried <= $2) OR (id = ANY ($3::uuid[]) AND last_queried > $2)
            """,
            since,
            until,
            list(self._silent),
        )
        self._looked_until = until
        for row in rows:
            self._hints.agent_changed(row["tenant_id"], row["id"])
            if not row["is_silent"]:
                self._silent.discard(row["id"])
            elif len(self._silent) < _MOST_SILENT:
                self._silent.add(row["id"])
        return len(rows)
