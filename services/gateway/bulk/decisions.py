"""The proposals of a bulk action for an item, and the meaning of their answers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, StateApplied, StateProposal, VersionConflict
from libs.contracts.states import FINISHED_FAMILY, LIVE_FAMILY, SCHEDULED_FAMILY, State
from services.gateway import compat


class Action(StrEnum):
    """The action for each item."""

    CANCEL = "CANCEL"
    DELETE = "DELETE"
    RESTART = "RESTART"
    SET_STATE = "SET_STATE"
    RUN_NOW = "RUN_NOW"
    ARCHIVE = "ARCHIVE"


class Outcome(StrEnum):
    """The outcome of an item."""

    DONE = "done"
    REFUSED = "refused"
    NOT_FOUND = "not_found"


FAILED = frozenset(
    (
        State.FAILED,
        State.TIMED_OUT,
        State.TRIGGER_FAILED,
        State.VALIDATION_FAILED,
        State.CANCELLED,
    )
)
"""States of task runs that a restart includes, and of flow runs that may be restarted."""

MOST_FAILED = 20_000
"""Most task runs of one restart: they are decided in one transaction with their flow run."""


@dataclass(frozen=True, slots=True)
class Item:
    """A run or flow as it was when the request was made."""

    position: int
    id: UUID
    seen_version: int
    seen_state: str


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task run that a restart includes."""

    id: UUID
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of an item; `state` and `version` are the current ones, if known."""

    position: int
    outcome: Outcome
    reason: str | None = None
    state: str | None = None
    version: int | None = None


def propose(
    action: Action,
    item: Item,
    *,
    state: Any,
    failed: Sequence[FailedTask],
    now: datetime,
) -> list[StateProposal] | Result:
    """The states to propose, the flow run's last; or why there is nothing to propose."""
    match action:
        case Action.CANCEL:
            if item.seen_state in FINISHED_FAMILY:
                return _refused(item, f"The run has finished already, as {item.seen_state}.")
            if item.seen_state == State.CANCELLING:
                return Result(
                    position=item.position,
                    outcome=Outcome.DONE,
                    reason="It is being cancelled already.",
                    state=item.seen_state,
                    version=item.seen_version,
                )
            return [_flow_run(item, _cancelled(item))]
        case Action.RUN_NOW:
            if item.seen_state not in SCHEDULED_FAMILY:
                return _refused(item, f"The run is not scheduled; it is {item.seen_state}.")
            return [_flow_run(item, _scheduled("Started at once by a person.", now))]
        case Action.RESTART:
            if item.seen_state not in FAILED:
                return _refused(item, f"Nothing of the run failed; it is {item.seen_state}.")
            if len(failed) > MOST_FAILED:
                return _refused(item, TOO_MANY_FAILED)
            tasks = [_task_run(item, task) for task in failed]
            return [*tasks, _flow_run(item, _scheduled("Restarted by a person.", now))]
        case Action.SET_STATE:
            return [_flow_run(item, state)]
        case Action.DELETE | Action.ARCHIVE:
            msg = f"{action} proposes no state"
            raise ValueError(msg)


def result(item: Item, outcome: StateApplied | VersionConflict | Refused, *, wanted: str) -> Result:
    """The meaning of the ledger's answer; `wanted` is the proposed state."""
    match outcome:
        case StateApplied():
            return Result(
                position=item.position,
                outcome=Outcome.DONE,
                reason=outcome.message,
                state=outcome.state,
                version=outcome.version,
            )
        case VersionConflict():
            # The next version with the wanted state is ours: it was done by a worker that was killed before storing the
            # result.
            if outcome.state == wanted and outcome.current == outcome.given + 1:
                return Result(
                    position=item.position,
                    outcome=Outcome.DONE,
                    state=outcome.state,
                    version=outcome.current,
                )
            return moved_on(item, version=outcome.current, state=outcome.state)
        case Refused(code=Code.RUN_NOT_FOUND):
            return Result(position=item.position, outcome=Outcome.NOT_FOUND, reason=GONE)
        case Refused():
            return _refused(item, compat.error_of(outcome).message)


GONE = "It was deleted meanwhile."
TOO_MANY_FAILED = (
    f"More than {MOST_FAILED} of its task runs failed, and a restart takes up all of them or none; nothing was changed."
    " Set some of them to Pending with set_task_run_states, then restart it again."
)


def moved_on(item: Item, *, version: int, state: str) -> Result:
    """It has changed since the request."""
    reason = f"It has moved on since it was seen at version {item.seen_version}, {item.seen_state}; look again."
    return Result(
        position=item.position,
        outcome=Outcome.REFUSED,
        reason=reason,
        state=state,
        version=version,
    )


def _refused(item: Item, reason: str) -> Result:
    return Result(
        position=item.position,
        outcome=Outcome.REFUSED,
        reason=reason,
        state=item.seen_state,
        version=item.seen_version,
    )


def _cancelled(item: Item) -> dict[str, Any]:
    """As the ledger cancels one run: a running process is asked to stop; without a process the run ends at once."""
    if item.seen_state in LIVE_FAMILY:
        return {"type": State.CANCELLING, "message": "Flow run is cancelling"}
    return {"type": State.CANCELLED, "message": "Flow run is cancelled"}


def _scheduled(message: str, now: datetime) -> dict[str, Any]:
    return {"type": State.SCHEDULED, "message": message, "start_time": now.isoformat()}


def _flow_run(item: Item, state: Any) -> StateProposal:
    return StateProposal(
        run_kind=RunKind.FLOW_RUN,
        run_id=item.id,
        state=state,
        seen_version=item.seen_version,
        by_person=True,
        exact=True,
    )


def _task_run(item: Item, task: FailedTask) -> StateProposal:
    # Bound to the flow run's version: decided in one transaction before it, all are done or none.
    return StateProposal(
        run_kind=RunKind.TASK_RUN,
        run_id=task.id,
        state={"type": State.PENDING, "message": "The flow run was restarted by a person."},
        seen_version=task.version,
        seen_flow_run_version=item.seen_version,
        exact=True,
    )
