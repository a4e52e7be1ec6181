"""The messages of the agent protocol, as `libs/contracts` has them; a test holds the two equal.

The subjects are functions of the tenant, which NATS permissions hold an agent to.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

JsonObject = dict[str, Any]


class Message(BaseModel):
    """A body on the bus: frozen, JSON, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Refused(Message):
    """A request that was understood and not done."""

    kind: Literal["refused"] = "refused"
    code: str
    fields: dict[str, str] = {}


class Applied(Message):
    """A request that was done."""

    kind: Literal["applied"] = "applied"
    id: UUID | None = None
    success: bool = True


PROTOCOL = 1
"""Raised when the meaning of a message changes; added fields do not change it."""


class Hello(Message):
    """An agent introduces itself, and again after every reconnection. `protocols` are those it speaks.

    Refused: INVALID (no common protocol), TENANT_INVALID.
    """

    protocols: list[int]
    session: UUID
    name: str
    labels: list[str] = []
    capacity: int
    version: str
    core_version: str | None = None


class Welcome(Message):
    """The ledger's answer to hello: the agent's id, and its intervals."""

    kind: Literal["applied"] = "applied"
    protocol: int
    agent_id: UUID
    park: float
    """Seconds that a claim may wait at the ledger for work."""
    renew: float
    """Seconds between two renewals of the leases that the agent holds."""
    beat: float
    """Seconds between two pings of a run whose process lives."""
    silence: float = 120.0
    """Seconds without a ping after which a run is taken for dead."""
    kill: float
    """Seconds after which a process that was asked to stop is killed."""
    queue_is_paused: bool = False
    """Whether the tenant's work queue is paused, so that agents can say why they get no runs."""


class Claim(Message):
    """Ask for due runs, waiting up to `wait` seconds for one. `claim_id` stays the same when the claim is repeated.

    A later claim of the session replaces an earlier one that still waits. An answer with runs is itself a request: the
    agent answers it with an empty message, so that the ledger knows that it arrived. One that `expires_silently` is not
    answered when nothing came due: the agent sends a new one by itself, which halves the cost of an idle agent.
    """

    protocol: int = PROTOCOL
    session: UUID
    agent_id: UUID
    claim_id: UUID
    labels: list[str] = []
    capacity: int
    wait: float = 0.0
    is_repeated: bool = False
    expires_silently: bool = False


class ClaimedRun(Message):
    """A run that is Submitted in this agent's name, with everything needed to start it.

    The lease lapses after `lease` seconds unless it is renewed, which the agent does before it starts a process.
    """

    flow_run_id: UUID
    lease_token: UUID
    attempt: int
    lease: float
    name: str
    flow_id: UUID
    flow_name: str
    due: datetime | None = None
    labels: list[str] = []
    core_version: str | None = None
    storage: JsonObject | None = None
    run_config: JsonObject | None = None


class Claimed(Message):
    """The claimed runs; none when nothing came due within the wait."""

    kind: Literal["applied"] = "applied"
    claim_id: UUID
    runs: list[ClaimedRun] = []


class HeldLease(Message):
    """A lease that the agent believes to hold."""

    flow_run_id: UUID
    lease_token: UUID


class Renew(Message):
    """Renew leases; also sent before a process is started, and for the runs that an agent finds after its own
    restart."""

    protocol: int = PROTOCOL
    session: UUID
    agent_id: UUID
    held: list[HeldLease] = []


class Standing(StrEnum):
    """The ledger's answer to the holder of a lease."""

    HELD = "held"  # go on
    CANCEL = "cancel"  # the run was cancelled: stop its process, then report
    OVER = "over"  # the run is finished: its process should end by itself soon
    LOST = "lost"  # another attempt has the run, or none: kill the process, write nothing


class Renewal(Message):
    """The standing of one lease, and the state of its run if the agent still has it."""

    flow_run_id: UUID
    standing: Standing
    state: str | None = None


class Renewed(Message):
    """One renewal per lease, in order."""

    kind: Literal["applied"] = "applied"
    renewals: list[Renewal]


class Outcome(StrEnum):
    """How a run's process ended."""

    EXITED = "exited"  # with `exit_code`; 128 + n for signal n
    UNSTARTED = "unstarted"  # it could not be started, and cannot: `message` says why
    RETURNED = "returned"  # it was not started, but could be: another agent may have the run
    VANISHED = "vanished"  # it is gone, and its end was not seen


class Report(Message):
    """A run's process is gone. The ledger decides what that means for the run.

    Refused: LEASE_LOST, also when the same report was made before.
    """

    protocol: int = PROTOCOL
    session: UUID
    agent_id: UUID
    flow_run_id: UUID
    lease_token: UUID
    outcome: Outcome
    exit_code: int | None = None
    message: str | None = None


class Reported(Message):
    """The state that the run has now."""

    kind: Literal["applied"] = "applied"
    flow_run_id: UUID
    state: str


class Drain(Message):
    """The agent claims nothing new: the session's waiting claim is dropped."""

    protocol: int = PROTOCOL
    session: UUID


class WorkReady(Message):
    """The signal `work_ready`: runs with one of these label sets are due and no claim waits for them here.

    For agents whose claim waits elsewhere, or nowhere. An empty list: claim again with any labels. With
    `queue_is_paused` it only says that the tenant's work queue was paused, or that it was resumed.
    """

    labels: list[list[str]] = []
    queue_is_paused: bool | None = None


class LogLine(Message):
    """One line; with the batch's `accepted` its `id` makes a repeated batch harmless."""

    id: UUID
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    timestamp: datetime
    name: str | None = None
    level: str = "INFO"
    message: str | None = None
    info: Any = None


class LogBatch(Message):
    """Lines of one flow run, on `log_subject`."""

    tenant_id: UUID
    accepted: datetime
    lines: list[LogLine]


def rpc_subject(tenant_id: UUID, verb: str) -> str:
    """Where requests go."""
    return f"hw.rpc.agents.{tenant_id}.{verb}"


def work_ready_subject(tenant_id: UUID) -> str:
    """The signal that runs are due for which no claim waits."""
    return f"hw.sig.agent.{tenant_id}.work_ready"


def cancel_subject(tenant_id: UUID) -> str:
    """The signals that a run must stop; the last token is its id."""
    return f"hw.sig.agent.{tenant_id}.cancel.*"


def log_subject(tenant_id: UUID, flow_run_id: UUID) -> str:
    """Where a run's lines go (JetStream)."""
    return f"hw.log.{tenant_id}.{flow_run_id}"


def inbox_prefix(tenant_id: UUID) -> str:
    """The prefix for answers: the tenant's own, named in its permissions."""
    return f"_INBOX.agent.{tenant_id}"


def beat_subject(tenant_id: UUID, flow_run_id: UUID) -> str:
    """Where pings for a run go (core NATS); they have no body."""
    return f"hw.beat.{tenant_id}.{flow_run_id}"
