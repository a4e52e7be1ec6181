"""A batch of commands as one transaction: share and lock, read, decide each in order, write all, commit."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.heartbeat import FlowRunZombieDetected
from libs.contracts.runs import (
    CancelFlowRun,
    GetOrCreateTaskRun,
    Reschedule,
    SetStates,
    TaskRunInfo,
)
from libs.contracts.states import State
from libs.runtime import faults, log, metrics
from libs.runtime.clock import Clock
from libs.runtime.database import Connection, Database
from libs.runtime.ids import NewId
from services.runs.domain.transitions import TaskRunMoved
from services.runs.ledger.commands import (
    Answer,
    CancelArchived,
    Command,
    EndCancellation,
    EndLeftTaskRuns,
    EndProcess,
)
from services.runs.ledger.creations import Creation, Creations
from services.runs.ledger.interventions import Interventions, Policy
from services.runs.ledger.journal import PENDING, AskedTaskRun, Journal
from services.runs.ledger.locking import lock, read_proposal
from services.runs.ledger.moves import Moves
from services.runs.ledger.proposals import Proposals

_TASK_RUN_LOOKUPS = 2
"""The second sees rows that another transaction made during the first."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The notifications after the commit. All are hints: a component that misses one finds out by itself."""

    work_ready: frozenset[UUID]
    """Tenants with runs for their agents."""
    cancelling: tuple[tuple[UUID, UUID], ...]
    """(tenant, flow run) that a process should stop."""
    has_events: bool
    """Whether the outbox has something to publish; task runs alone give it nothing."""
    task_run_moves: Sequence[tuple[UUID, TaskRunMoved]]
    """Moves of task runs, in order; the ids are those of their history rows."""


class Ledger:
    """Applies batches. `on_commit` is called after each commit with what happened."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        ids: NewId,
        names: Callable[[], str],
        policy: Policy,
        on_commit: Callable[[Committed], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._names = names
        self._policy = policy
        self._on_commit = on_commit
        self._log = log.get("runs")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Callable[[Sequence[Command]], Awaitable[list[Answer]]]]:
        """A transaction for one batch. It yields a function: call it with the commands; it returns the answers, in
        order.

        Leaving it commits. Raises with nothing committed, except when the connection is lost on the way.
        """
        async with self._database.transaction() as connection:
            journal = Journal(connection, ids=self._ids)
            batch = _Batch(
                connection,
                journal,
                clock=self._clock,
                policy=self._policy,
                creations=Creations(connection, journal, self._ids, self._names),
            )
            yield batch.run
            await faults.reached(faults.Point.RUNS_BEFORE_COMMIT)
        try:
            batch.count()
            for line in batch.stale:
                self._log.info("proposal_stale", **line)
            self._on_commit(batch.committed())
        except Exception as error:
            # If raised, it would be taken for a rollback, and the batch would be applied again.
            self._log.error("after_commit_failed", error=str(error), exc_info=True)


class _Batch:
    """The work of one transaction."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        *,
        clock: Clock,
        policy: Policy,
        creations: Creations,
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._clock = clock
        self._policy = policy
        self._creations = creations
        self._moves: Moves | None = None
        self._refused: Counter[tuple[str, str]] = Counter()
        self.stale: list[dict[str, object]] = []
        """Proposals of safeguards that came too late, for the log."""

    async def run(self, commands: Sequence[Command]) -> list[Answer]:
        """Decide and write; the answer of each command, in order."""
        now = self._clock()
        proposals = {
            index: [read_proposal(p, now=now) for p in command.proposals]
            for index, command in enumerate(commands)
            if isinstance(command, SetStates)
        }
        wanted = {n: c for n, c in enumerate(commands) if isinstance(c, Creation)}
        answers: dict[int, Answer] = {**await self._creations.prepare(wanted, now=now)}
        facts = await lock(self._connection, self._journal, commands, proposals)
        if facts.has_limits:
            # The earlier holders of these limits wrote their times before releasing them. Ours must be later, or
            # histories would show more concurrent runs than there were.
            now = max(now, self._clock())
        self._moves = moves = Moves(facts, self._journal, now)
        clients = Proposals(moves, self._refused)
        safeguards = Interventions(moves, self._policy, self.stale)
        for index, command in enumerate(commands):
            match command:
                case SetStates():
                    answers[index] = clients.set_states(command, proposals[index])
                case CancelFlowRun():
                    answers[index] = clients.cancel(command)
                case (
                    FlowRunZombieDetected()
                    | Reschedule()
                    | EndCancellation()
                    | CancelArchived()
                    | EndLeftTaskRuns()
                    | EndProcess()
                ):
                    answers[index] = safeguards.answer(command)
                case _:
                    pass
        await self._journal.write(at=now)
        answers |= await self._creations.insert()
        answers |= await self._get_or_create_task_runs(commands, moves)
        await self._journal.close(at=now)
        return [answers[index] for index in range(len(commands))]

    def count(self) -> None:
        """Count the applied and the refused states in the metrics."""
        for (kind, state), number in Counter(self._journal.applied()).items():
            metrics.STATES_APPLIED.labels(kind, state).inc(number)
        for waited in self._moves.waits if self._moves else ():
            metrics.CLAIM_SECONDS.observe(max(0.0, waited.total_seconds()))
        for (refused_kind, code), number in self._refused.items():
            metrics.STATES_REFUSED.labels(refused_kind, code).inc(number)

    def committed(self) -> Committed:
        """The notifications after the commit."""
        ready = self._moves.ready if self._moves else set()
        return Committed(
            frozenset(ready | self._creations.ready),
            tuple(self._moves.cancelling if self._moves else ()),
            has_events=self._journal.has_events,
            task_run_moves=self._journal.task_run_moves,
        )

    async def _get_or_create_task_runs(
        self, commands: Sequence[Command], moves: Moves
    ) -> dict[int, Answer]:
        """Find or make the requested task runs; returns the answers of those commands."""
        answers: dict[int, Answer] = {}
        asked = {n: c for n, c in enumerate(commands) if isinstance(c, GetOrCreateTaskRun)}
        for _ in range(_TASK_RUN_LOOKUPS):
            if not asked:
                break
            found = dict(
                zip(
                    asked,
                    await self._journal.get_or_create_task_runs(list(asked.values()), at=moves.now),
                    strict=True,
                )
            )
            answers |= {index: _task_run_info(row, asked[index]) for index, row in found.items()}
            asked = {
                index: asked[index]
                for index, row in found.items()
                if row.task_id is not None and row.id is None
            }
        return answers


def _task_run_info(found: AskedTaskRun, command: GetOrCreateTaskRun) -> TaskRunInfo | Refused:
    if found.flow_run_id is None:
        return Refused(code=Code.FLOW_RUN_INVALID_ID, fields={"id": str(command.flow_run_id)})
    if found.task_id is None or found.id is None:
        return Refused(code=Code.TASK_INVALID_ID)
    document = found.serialized_state
    return TaskRunInfo(
        id=found.id,
        version=found.version or 0,
        state=found.state or State.PENDING,
        serialized_state=PENDING.document if document is None else document,
    )
