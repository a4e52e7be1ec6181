"""The way of a command: through a group commit to the ledger, and what follows each commit."""

from collections.abc import Callable
from uuid import UUID

import coolname

from libs.contracts import subjects
from libs.runtime import faults
from libs.runtime.background import Background
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock
from libs.runtime.database import Database
from libs.runtime.group_commit import GroupCommit
from libs.runtime.ids import NewId
from libs.runtime.trace import Tracing
from services.runs.hints import Hints
from services.runs.ledger import Answer, Command, Committed, Ledger, Policy
from services.runs.settings import RunsSettings


def group_commit(
    database: Database,
    settings: RunsSettings,
    *,
    clock: Clock,
    ids: NewId,
    on_commit: Callable[[Committed], None],
    service: str,
    tracing: Tracing | None,
) -> GroupCommit[Command, Answer]:
    """The lanes before the ledger; not started yet."""
    ledger = Ledger(
        database,
        clock=clock,
        ids=ids,
        # Two words, as Prefect names runs.
        names=lambda: str(coolname.generate_slug(2)),
        policy=Policy(
            resurrection_limit=settings.lazarus_limit, cancel_deadline=settings.cancel_deadline
        ),
        on_commit=on_commit,
    )
    return GroupCommit(
        ledger.begin,
        batch_limit=settings.commit_batch,
        queue_limit=settings.commit_queue,
        lanes=settings.commit_lanes,
        service=service,
        deadline=settings.rpc_timeout.total_seconds(),
        before_answer=faults.Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER,
        tracing=tracing,
    )


class AfterCommit:
    """Publishes the outbox now, and sends the hints, on which nothing depends."""

    def __init__(
        self,
        bus: Bus,
        background: Background,
        hints: Hints,
        *,
        publish: Callable[[], None],
        due: Callable[[UUID], None],
    ) -> None:
        """`publish` lets the relay publish the outbox; `due` is called with a tenant whose runs may start now."""
        self._bus = bus
        self._background = background
        self._hints = hints
        self._publish = publish
        self._due = due

    def __call__(self, committed: Committed) -> None:
        """A transaction of the ledger has committed."""
        if committed.has_events:
            self._publish()
        if committed.task_run_moves:
            self._hints.task_runs_moved(committed.task_run_moves)
        for tenant_id in committed.work_ready:
            self._due(tenant_id)
        for tenant_id, flow_run_id in committed.cancelling:
            subject = subjects.SIG_AGENT_CANCEL.at(tenant_id=tenant_id, flow_run_id=flow_run_id)
            self._background.run(self._bus.signal(subject))
