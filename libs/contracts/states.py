"""The state vocabulary of Prefect Core 1.4.1 (gateway/reference/runs.md): names, families, colours; no rules."""

from enum import StrEnum


class State(StrEnum):
    """The class names of states, as clients write them in `type`."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    PAUSED = "Paused"
    RESUME = "Resume"
    RETRYING = "Retrying"
    SUBMITTED = "Submitted"
    QUEUED = "Queued"
    CLIENT_FAILED = "ClientFailed"
    RUNNING = "Running"
    CANCELLING = "Cancelling"
    FINISHED = "Finished"
    LOOPED = "Looped"
    SUCCESS = "Success"
    CACHED = "Cached"
    MAPPED = "Mapped"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    TRIGGER_FAILED = "TriggerFailed"
    VALIDATION_FAILED = "ValidationFailed"


PARENT: dict[str, str] = {
    "Pending": "State",
    "Scheduled": "Pending",
    "Paused": "Scheduled",
    "Resume": "Scheduled",
    "Retrying": "Scheduled",
    "_MetaState": "State",
    "Submitted": "_MetaState",
    "Queued": "_MetaState",
    "ClientFailed": "_MetaState",
    "Running": "State",
    "Cancelling": "Running",
    "Finished": "State",
    "Looped": "Finished",
    "Success": "Finished",
    "Cached": "Success",
    "Mapped": "Success",
    "Skipped": "Success",
    "Cancelled": "Finished",
    "Failed": "Finished",
    "TimedOut": "Failed",
    "TriggerFailed": "Failed",
    "ValidationFailed": "Failed",
}

COLORS: dict[str, str] = {
    "Pending": "#7ebdff",
    "Scheduled": "#ffab00",
    "Paused": "#99a8e8",
    "Resume": "#f58c0c",
    "Retrying": "#f66a0a",
    "Submitted": "#ffdf5d",
    "Queued": "#ffea7f",
    "ClientFailed": "#eb0000",
    "Running": "#3d67ff",
    "Cancelling": "#E8E8E8",
    "Finished": "#003ccb",
    "Looped": "#003ccb",
    "Success": "#28a745",
    "Cached": "#34d058",
    "Mapped": "#003ccb",
    "Skipped": "#62757f",
    "Cancelled": "#bdbdbd",
    "Failed": "#eb0000",
    "TimedOut": "#ff4e33",
    "TriggerFailed": "#ff5131",
    "ValidationFailed": "#ff5131",
}


def lineage(state: str) -> tuple[str, ...]:
    """The state and its ancestors, nearest first: `Cached` gives Cached, Success, Finished, State."""
    chain = [state]
    while chain[-1] in PARENT:
        chain.append(PARENT[chain[-1]])
    return tuple(chain)


def is_finished(state: str) -> bool:
    """Final, unless a person restarts the run."""
    return State.FINISHED in lineage(state)


def is_running(state: str) -> bool:
    """Running or Cancelling."""
    return State.RUNNING in lineage(state)


def is_scheduled(state: str) -> bool:
    """Waits for an instant: the Scheduled family, and Queued."""
    return State.SCHEDULED in lineage(state) or state == State.QUEUED


def is_failed(state: str) -> bool:
    """Failed, TimedOut, TriggerFailed or ValidationFailed."""
    return State.FAILED in lineage(state)


SCHEDULED_FAMILY: frozenset[str] = frozenset(s for s in State if is_scheduled(s))
RUNNING_FAMILY: frozenset[str] = frozenset(s for s in State if is_running(s))
FINISHED_FAMILY: frozenset[str] = frozenset(s for s in State if is_finished(s))
LIVE_FAMILY: frozenset[str] = RUNNING_FAMILY | {State.SUBMITTED}
"""States with a running process, or soon with one: the possible states of a zombie."""


def hierarchy() -> dict[str, list[str]]:
    """`reference_data.state_hierarchy`: each state with all its descendants, itself included."""
    names = ["State", *PARENT]
    return {name: [other for other in names if name in lineage(other)] for name in names}
