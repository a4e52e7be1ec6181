"""The one writer of run state: state rows, histories, concurrency slots and the outbox, in the caller's transaction.

The code that decides (the ledger's batches, dispatch) notes its moves here in the order of the decisions and then
writes them all at once. The runs are locked before (`reads.py`), and so are the limits (`load_slots`): the written rows
were counted under these locks. `tests/contracts/test_one_writer.py` reads all SQL of the service and finds no other
writer.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from libs.contracts.base import JsonObject
from libs.contracts.runs import FlowRunStateChanged, GetOrCreateTaskRun, RunKind
from libs.contracts.states import State
from libs.runtime import outbox
from libs.runtime.database import Connection, statement
from libs.runtime.ids import NewId
from libs.runtime.outbox import OutboxRow
from libs.runtime.records import RecordStatement
from services.runs import logs
from services.runs.domain.concurrency_limits import occupies
from services.runs.domain.safeguards import LogEntry
from services.runs.domain.states import RunState, make_state
from services.runs.domain.transitions import FlowRun, FlowRunMoved, TaskRun, TaskRunMoved
from services.runs.ledger.rows import (
    FlowRunPart,
    FreedSlot,
    LeaseRow,
    NewFlowRun,
    NewTaskRun,
    StateRow,
    TakenSlot,
    TaskRunPart,
    WantedTaskRun,
)
from services.runs.ledger.slots import Slots

PENDING = make_state(State.PENDING, "Task run created")
"""The first state of a task run."""

_WRITE_FLOW_RUNS = RecordStatement(
    __file__, "write_flow_run_states", moved=(StateRow, FlowRunPart), events=OutboxRow
)
_WRITE_TASK_RUNS = RecordStatement(__file__, "write_task_run_states", moved=(StateRow, TaskRunPart))
_INSERT_FLOW_RUNS = RecordStatement(__file__, "insert_flow_runs", wanted=NewFlowRun)
_INSERT_TASK_RUNS = RecordStatement(__file__, "insert_task_runs", wanted=NewTaskRun)
_GET_OR_CREATE = RecordStatement(__file__, "get_or_create_task_runs", wanted=WantedTaskRun)
_FREE_SLOTS = RecordStatement(__file__, "free_slots", freed=FreedSlot)
_TAKE_SLOTS = RecordStatement(__file__, "take_slots", taken=TakenSlot)
_GIVE_LEASES = RecordStatement(__file__, "give_leases", given=LeaseRow)


class AskedTaskRun(NamedTuple):
    """A result of `get_or_create_task_runs`: flow run and task if they exist and belong together (else None), and the
    row. It has no id when another transaction made it meanwhile.
    """

    flow_run_id: UUID | None
    task_id: UUID | None
    id: UUID | None
    version: int | None
    state: str | None
    serialized_state: JsonObject | None


class Journal:
    """Writes the changes of one transaction: note moves, `write` them, and `close` with log lines and events."""

    def __init__(self, connection: Connection, *, ids: NewId) -> None:
        self._connection = connection
        self._ids = ids
        self._unwritten: list[FlowRunStateChanged] = []
        self._logs: list[tuple[UUID, LogEntry]] = []
        self._flow_runs: list[tuple[UUID, FlowRunMoved]] = []
        self._task_runs: list[tuple[UUID, TaskRunMoved]] = []
        self.slots = Slots()
        self.has_events = False
        """Whether the outbox has something to publish; task runs alone give it nothing."""

    async def load_slots(
        self,
        *,
        entering: Sequence[tuple[FlowRun | TaskRun, Sequence[RunState]]] = (),
        leaving: Collection[UUID] = (),
        ending: Collection[UUID] = (),
    ) -> None:
        """Lock the limits that these moves may touch: after all runs, before anything is decided (`Slots.load`)."""
        self.slots = await Slots.load(
            self._connection, entering=entering, leaving=leaving, ending=ending
        )

    # noting

    def move_flow_run(self, moved: FlowRunMoved) -> bool:
        """Note a move; returns whether slots of concurrency limits are free now."""
        run = moved.run
        is_at_work = occupies(RunKind.FLOW_RUN, run.state)
        freed = run.limited and not is_at_work and self.slots.end(run.id) > 0
        self._flow_runs.append((self._ids(), moved))
        self._add_event(
            run,
            at=run.state_timestamp,
            version=run.version,
            state=run.state,
            previous_state=moved.previous_state,
            message=moved.state.message,
        )
        return freed

    def move_task_run(self, moved: TaskRunMoved) -> None:
        """Note a move; a slot that the run does not need any more is freed."""
        if moved.run.limited and not occupies(RunKind.TASK_RUN, moved.run.state):
            self.slots.leave(moved.run.id)
        self._task_runs.append((self._ids(), moved))

    @property
    def task_run_moves(self) -> Sequence[tuple[UUID, TaskRunMoved]]:
        """The moves of task runs that were noted, in order, each with the id of its history row."""
        return self._task_runs

    def log(self, tenant_id: UUID, entry: LogEntry) -> None:
        """Note a line of the run's log that explains a move."""
        self._logs.append((tenant_id, entry))

    def applied(self) -> Iterable[tuple[RunKind, str]]:
        """The noted states, for metrics."""
        for _, flow_run in self._flow_runs:
            yield RunKind.FLOW_RUN, flow_run.run.state
        for _, task_run in self._task_runs:
            yield RunKind.TASK_RUN, task_run.run.state

    def _add_event(
        self,
        run: FlowRun | NewFlowRun,
        *,
        at: datetime,
        version: int,
        state: str,
        message: str | None,
        previous_state: str | None = None,
    ) -> None:
        self.has_events = True
        self._unwritten.append(
            FlowRunStateChanged(
                event_id=self._ids(),
                at=at,
                tenant_id=run.tenant_id,
                flow_run_id=run.id,
                flow_id=run.flow_id,
                version=version,
                state=state,
                previous_state=previous_state,
                message=message,
            )
        )

    # writing

    async def write(self, *, at: datetime) -> None:
        """Write the noted moves: states with histories and events, then slots. Called once in a transaction."""
        if self._flow_runs:
            events, self._unwritten = self._unwritten, []
            await self._write_flow_runs(events)
        if self._task_runs:
            await self._write_task_runs()
        await self._write_slots(at=at)

    async def close(self, *, at: datetime) -> None:
        """Write log lines, and the events of new runs."""
        await logs.insert_entries(self._connection, self._logs, at=at, ids=self._ids)
        await outbox.add(self._connection, "runs", self._unwritten)

    async def _write_flow_runs(self, events: Sequence[FlowRunStateChanged]) -> None:
        """Append states, oldest first, copy each run's newest onto its row, and put the events into the outbox."""
        replaced = _replaced_versions([moved.run for _, moved in self._flow_runs])
        rows = [
            _state_row(history_id, moved, replaces)
            + FlowRunPart(
                agent_id=moved.run.agent_id,
                times_resurrected=moved.run.times_resurrected,
                attempt=moved.run.attempt,
                lease_token=moved.run.lease_token,
            )
            for (history_id, moved), replaces in zip(self._flow_runs, replaced, strict=True)
        ]
        tag = await _WRITE_FLOW_RUNS.execute(
            self._connection,
            moved=rows,
            events=outbox.rows(events),
            traceparent=outbox.traceparent(),
        )
        _expect(tag, replaced, "write_flow_run_states")

    async def _write_task_runs(self) -> None:
        """As `_write_flow_runs`; task runs have no events."""
        replaced = _replaced_versions([moved.run for _, moved in self._task_runs])
        rows = [
            _state_row(history_id, moved, replaces) + TaskRunPart(retries=moved.run.retries)
            for (history_id, moved), replaces in zip(self._task_runs, replaced, strict=True)
        ]
        tag = await _WRITE_TASK_RUNS.execute(self._connection, moved=rows)
        _expect(tag, replaced, "write_task_run_states")

    async def _write_slots(self, *, at: datetime) -> None:
        if freed := self.slots.freed():
            await _FREE_SLOTS.execute(self._connection, freed=freed)
        if taken := self.slots.taken():
            await _TAKE_SLOTS.execute(self._connection, taken=taken, at=at)

    # new runs

    async def insert_flow_runs(self, runs: Iterable[NewFlowRun]) -> set[UUID]:
        """Insert runs with their first states; returns the ids of the new ones. Their events: `announce`."""
        rows = await _INSERT_FLOW_RUNS.fetch(
            self._connection, wanted=sorted(runs, key=_conflict_order)
        )
        return {row["id"] for row in rows}

    async def insert_task_runs(self, runs: Sequence[NewTaskRun], *, at: datetime) -> None:
        """Insert the Pending task runs of new flow runs, which no other transaction can see yet."""
        await _INSERT_TASK_RUNS.execute(
            self._connection,
            wanted=runs,
            at=at,
            message=PENDING.message,
            serialized_state=PENDING.document,
        )

    def announce(self, run: NewFlowRun) -> None:
        """Note the event of a run that was inserted and stays."""
        self._add_event(run, at=run.at, version=1, state=State.SCHEDULED, message=run.message)

    async def get_or_create_task_runs(
        self, asked: Sequence[GetOrCreateTaskRun], *, at: datetime
    ) -> list[AskedTaskRun]:
        """The requested task runs, in order; missing ones are made."""
        rows = await _GET_OR_CREATE.fetch(
            self._connection,
            wanted=[
                WantedTaskRun(
                    number=number,
                    tenant_id=key.tenant_id,
                    flow_run_id=key.flow_run_id,
                    task_id=key.task_id,
                    map_index=key.map_index,
                    id=self._ids(),
                    history_id=self._ids(),
                )
                for number, key in enumerate(asked)
            ],
            at=at,
            message=PENDING.message,
            serialized_state=PENDING.document,
        )
        return [AskedTaskRun(*row) for row in rows]

    # leases

    async def give_leases(self, runs: Iterable[FlowRun], *, lease: timedelta) -> None:
        """Write the leases of claimed runs, which are locked."""
        await _GIVE_LEASES.execute(
            self._connection,
            given=[
                LeaseRow(id=r.id, token=r.lease_token, agent_id=r.agent_id, attempt=r.attempt)
                for r in runs
            ],
            lease=lease,
        )

    async def end_lease(self, flow_run_id: UUID) -> None:
        """The run's process has ended: later writes under its token are refused."""
        await self._connection.execute(
            "UPDATE runs.flow_run SET lease_token = NULL, lease_expires = NULL WHERE id = $1",
            flow_run_id,
        )


class RepairedSlots(NamedTuple):
    """Slots without a run that were freed, and runs without a slot that have one now."""

    freed: int
    counted: int
    tenants: frozenset[UUID]
    """Tenants with freed slots."""


async def repair_slots(
    connection: Connection, limit_ids: Collection[UUID], *, at: datetime
) -> RepairedSlots:
    """Make the slots of these limits, which the caller has locked, consistent with the runs."""
    row = await connection.fetchrow(statement(__file__, "repair_slots"), list(limit_ids), at)
    if row is None:
        msg = "an aggregate always answers one row"
        raise TypeError(msg)
    return RepairedSlots(
        freed=row["freed"], counted=row["counted"], tenants=frozenset(row["tenants"] or ())
    )


async def delete_slots(connection: Connection, limit_id: UUID) -> None:
    """Free the slots of a limit that is deleted."""
    await connection.execute("DELETE FROM runs.concurrency_slot WHERE limit_id = $1", limit_id)


def _state_row(
    history_id: UUID, moved: FlowRunMoved | TaskRunMoved, replaces: int | None
) -> StateRow:
    run, state = moved.run, moved.state
    return StateRow(
        history_id=history_id,
        run_id=run.id,
        tenant_id=run.tenant_id,
        version=run.version,
        state=run.state,
        at=run.state_timestamp,
        message=state.message,
        state_start_time=state.start_time,
        serialized_state=state.text,
        start_time=run.start_time,
        end_time=run.end_time,
        heartbeat=run.heartbeat,
        actor=moved.actor,
        replaces=replaces,
    )


def _replaced_versions(runs: Sequence[FlowRun] | Sequence[TaskRun]) -> list[int | None]:
    """For each run's last move the version of its row before this batch, for earlier moves None."""
    first: dict[UUID, int] = {}
    last: dict[UUID, int] = {}
    for run in runs:
        first.setdefault(run.id, run.version)
        last[run.id] = run.version
    return [first[run.id] - 1 if run.version == last[run.id] else None for run in runs]


def _expect(tag: str, replaced: Sequence[int | None], name: str) -> None:
    """Raise unless every locked row was written: otherwise its version was not the counted one."""
    expected = sum(1 for version in replaced if version is not None)
    if tag != f"UPDATE {expected}":
        msg = f"{name}: {tag} where {expected} locked rows were expected"
        raise RuntimeError(msg)


def _conflict_order(run: NewFlowRun) -> tuple[UUID, str, str, str, UUID]:
    """One order for all that may conflict: an instant conflicts by its start time, a key only by the key."""
    instant = run.scheduled_start_time.isoformat() if run.schedule_hash else ""
    key = run.idempotency_key or ""
    return (run.flow_group_id, run.schedule_hash or "", instant, key, run.flow_id)
