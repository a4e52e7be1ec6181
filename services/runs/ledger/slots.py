"""The slots that one transaction takes and frees. The rules: `domain/concurrency_limits.py`; the race:
`queries/lock_limits.sql`.

Used by all code that writes states, after it has locked its runs: `load` the limits, `enter` for each run that starts
and `leave` for each that does not run any more, in the order of the decisions. The journal writes the changes. A tenant
without limits needs none of it: `FlowRun.limited` and `TaskRun.limited` say so.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.contracts.base import JsonObject
from libs.contracts.runs import RunKind
from libs.runtime.database import Connection, statement
from libs.runtime.records import RecordStatement
from services.runs.domain import concurrency_limits
from services.runs.domain.concurrency_limits import Full, Limit
from services.runs.domain.states import RunState
from services.runs.domain.transitions import FlowRun, TaskRun
from services.runs.ledger.rows import FreedSlot, TakenSlot, WantedLimit

LimitKey = tuple[UUID, RunKind, str]
SlotKey = tuple[UUID, UUID]
"""(limit, run), the primary key."""


_LOCK_LIMITS = RecordStatement(__file__, "lock_limits", wanted=WantedLimit)


@dataclass(slots=True, kw_only=True)
class Entering:
    """A run that may enter: its labels or tags, and the state that it waits in."""

    names: frozenset[str]
    serialized_state: JsonObject
    state_start_time: datetime | None


@dataclass(slots=True)
class Slots:
    """The limits that this transaction has locked, and their slots as they change."""

    entering: dict[UUID, Entering] = field(default_factory=dict)
    _limits: dict[LimitKey, Limit] = field(default_factory=dict)
    _used: Counter[UUID] = field(default_factory=Counter)
    _stored: set[SlotKey] = field(default_factory=set)
    """Our slots that are in the table."""
    _held: dict[SlotKey, tuple[UUID, UUID]] = field(default_factory=dict)
    """Our slots that must be in the table, each with its (flow run, tenant)."""
    _of_run: dict[UUID, set[UUID]] = field(default_factory=dict)
    _of_flow_run: dict[UUID, set[UUID]] = field(default_factory=dict)

    @classmethod
    async def load(
        cls,
        connection: Connection,
        *,
        entering: Sequence[tuple[FlowRun | TaskRun, Sequence[RunState]]] = (),
        leaving: Collection[UUID] = (),
        ending: Collection[UUID] = (),
    ) -> "Slots":
        """Lock and read the limits of these runs.

        `entering` are runs with the states proposed for them; `leaving` runs that may free slots of their own; `ending`
        flow runs that may free their own and those of all their task runs.
        """
        slots = cls()
        wanted = await slots._read_entering(connection, entering)
        touched = [*leaving, *slots.entering]
        rows = await _LOCK_LIMITS.fetch(
            connection,
            wanted=[WantedLimit(*key) for key in wanted],
            leaving=touched,
            ending=list(ending),
        )
        for row in rows:
            limit = Limit(
                id=row["id"],
                tenant_id=row["tenant_id"],
                kind=RunKind(row["kind"]),
                name=row["name"],
                limit=row["limit"],
            )
            slots._limits[limit.tenant_id, limit.kind, limit.name] = limit
        if rows:
            await slots._read_slots(connection, touched, list(ending))
        return slots

    def enter(self, run: FlowRun | TaskRun, state: RunState, *, is_at_work: bool) -> Full | None:
        """Take the slots that `run` needs for `state`; None when it has them all."""
        kind, flow_run_id = _kind_of(run)
        names = concurrency_limits.names_of(kind, self.entering[run.id].names, state)
        found = [
            (limit, self._used[limit.id])
            for name in names
            if (limit := self._limits.get((run.tenant_id, kind, name))) is not None
        ]
        answer = concurrency_limits.enter(
            found, held=frozenset(self._of_run.get(run.id, ())), is_at_work=is_at_work
        )
        if isinstance(answer, Full):
            return answer
        for limit in answer.taken:
            self._used[limit.id] += 1
            self._hold(limit.id, run.id, flow_run_id, run.tenant_id)
        return None

    def leave(self, run_id: UUID) -> int:
        """Free the slots of one run; returns how many."""
        freed = self._of_run.pop(run_id, set())
        for limit_id in freed:
            flow_run_id, _ = self._held.pop((limit_id, run_id))
            self._of_flow_run[flow_run_id].discard(run_id)
            self._used[limit_id] -= 1
        return len(freed)

    def end(self, flow_run_id: UUID) -> int:
        """Free the slots of a flow run and of all its task runs; returns how many."""
        return sum(self.leave(run_id) for run_id in [*self._of_flow_run.get(flow_run_id, ())])

    def freed(self) -> list[FreedSlot]:
        """Slots to delete, in the transaction of the states that freed them."""
        return [FreedSlot(*key) for key in sorted(self._stored - self._held.keys())]

    def taken(self) -> list[TakenSlot]:
        """Slots to insert, in the transaction of the states that took them."""
        return [
            TakenSlot(*key, *self._held[key]) for key in sorted(self._held.keys() - self._stored)
        ]

    async def _read_entering(
        self,
        connection: Connection,
        entering: Sequence[tuple[FlowRun | TaskRun, Sequence[RunState]]],
    ) -> list[LimitKey]:
        """Store the states that entering runs wait in; returns the limits that may apply to them."""
        if not entering:
            return []
        rows = await connection.fetch(
            statement(__file__, "entering_runs"),
            [run.id for run, _ in entering if isinstance(run, FlowRun)],
            [run.id for run, _ in entering if isinstance(run, TaskRun)],
        )
        proposed = {run.id: (run, states) for run, states in entering}
        wanted: set[LimitKey] = set()
        for row in rows:
            run, states = proposed[row["id"]]
            stored = frozenset(map(str, row["names"]))
            self.entering[run.id] = Entering(
                names=stored,
                serialized_state=row["serialized_state"],
                state_start_time=row["state_start_time"],
            )
            kind, _ = _kind_of(run)
            for state in states:
                names = concurrency_limits.names_of(kind, stored, state)
                wanted |= {(run.tenant_id, kind, name) for name in names}
        return sorted(wanted)

    async def _read_slots(
        self, connection: Connection, run_ids: Sequence[UUID], flow_run_ids: Sequence[UUID]
    ) -> None:
        rows = await connection.fetch(
            statement(__file__, "slots_in_use"),
            [limit.id for limit in self._limits.values()],
            run_ids,
            flow_run_ids,
        )
        tenants = {limit.id: limit.tenant_id for limit in self._limits.values()}
        for row in rows:
            self._used[row["limit_id"]] = row["used"]
            ours = zip(row["run_ids"] or (), row["flow_run_ids"] or (), strict=True)
            for run_id, flow_run_id in ours:
                self._stored.add((row["limit_id"], run_id))
                self._hold(row["limit_id"], run_id, flow_run_id, tenants[row["limit_id"]])

    def _hold(self, limit_id: UUID, run_id: UUID, flow_run_id: UUID, tenant_id: UUID) -> None:
        self._held[limit_id, run_id] = (flow_run_id, tenant_id)
        self._of_run.setdefault(run_id, set()).add(limit_id)
        self._of_flow_run.setdefault(flow_run_id, set()).add(run_id)


def _kind_of(run: FlowRun | TaskRun) -> tuple[RunKind, UUID]:
    """Whether it is a flow run or a task run, and the flow run that it is or belongs to."""
    if isinstance(run, FlowRun):
        return RunKind.FLOW_RUN, run.id
    return RunKind.TASK_RUN, run.flow_run_id
