"""The commands and answers of the ledger: messages of its contract, and its own proposals."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.contracts.base import Message, Refused
from libs.contracts.heartbeat import FlowRunZombieDetected
from libs.contracts.runs import (
    CancelFlowRun,
    CreateFlowRun,
    CreateScheduled,
    FlowRunCancelled,
    FlowRunCreated,
    GetOrCreateTaskRun,
    Reschedule,
    SetStates,
    StatesSet,
    TaskRunInfo,
)


class EndCancellation(Message):
    """The ledger's own proposal: a run that is still Cancelling after the deadline is Cancelled."""

    tenant_id: UUID
    flow_run_id: UUID
    seen_version: int


class CancelArchived(Message):
    """The ledger's own proposal: an ad-hoc run that never began is cancelled, because its flow was archived."""

    tenant_id: UUID
    flow_run_id: UUID


class EndLeftTaskRuns(Message):
    """The ledger's own proposal: these task runs still run, but their flow run does not, and is silent."""

    tenant_id: UUID
    flow_run_id: UUID
    task_run_ids: list[UUID]
    silence: timedelta


class EndProcess(Message):
    """The ledger's own proposal: the process of a Running run has ended, as its agent reported in the words `said`."""

    tenant_id: UUID
    flow_run_id: UUID
    seen_version: int
    said: str


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a service's proposal: applied, or not, with the reason."""

    reason: str | None = None
    count: int = 0
    state: str | None = None
    """The flow run's state after a safeguard, if there is such a run."""


Safeguard = (
    Reschedule
    | FlowRunZombieDetected
    | EndCancellation
    | CancelArchived
    | EndLeftTaskRuns
    | EndProcess
)
Command = (
    SetStates | CreateFlowRun | GetOrCreateTaskRun | CancelFlowRun | CreateScheduled | Safeguard
)
Answer = StatesSet | FlowRunCreated | TaskRunInfo | FlowRunCancelled | Done | Refused
