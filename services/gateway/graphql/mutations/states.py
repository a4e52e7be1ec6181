"""Setting states (reference/runs.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from strawberry import UNSET

from libs.contracts import runs
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, StateApplied, StateProposal, VersionConflict
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.scalars import JSON
from services.gateway.shares import BusyError

_PART = 50  # states of one command; a lone one of another tenant waits for a few such parts at most
Outcome = StateApplied | VersionConflict | Refused
Item = TypeVar("Item")
"""`SetFlowRunState` or `SetTaskRunState`."""


@dataclass
class SetFlowRunState:
    """`version` is checked when the flow has version locking on; null passes.

    Clients' processes always send it, as null where they do not care. Left out it is a person's write, which may also
    change how a run has ended.
    """

    flow_run_id: UUID
    state: JSON
    version: int | None = UNSET


@dataclass
class SetFlowRunStates:
    """Applied in order."""

    states: list[SetFlowRunState]


@dataclass
class SetTaskRunState:
    """As for flow runs."""

    task_run_id: UUID
    state: JSON
    version: int | None = None
    flow_run_version: int | None = None


@dataclass
class SetTaskRunStates:
    """Applied in order."""

    states: list[SetTaskRunState]


@dataclass(frozen=True, slots=True)
class SetFlowRunStateResult:
    """`status` is SUCCESS, or QUEUED with a message when a concurrency limit is full."""

    id: UUID
    status: str
    message: str | None


@dataclass(frozen=True, slots=True)
class StatesPayload:
    """One result per input, in order."""

    states: list[SetFlowRunStateResult]


@mutation("set_flow_run_states", audited=False, reports=True)
async def set_flow_run_states(context: Context, input: SetFlowRunStates) -> StatesPayload:
    """Set states of flow runs. The first refusal is the error of the field; the others stay done."""

    def proposal(item: SetFlowRunState) -> StateProposal:
        return StateProposal(
            run_kind=RunKind.FLOW_RUN,
            run_id=item.flow_run_id,
            state=item.state,
            seen_version=None if item.version is UNSET else item.version,
            by_person=item.version is UNSET and context.lease is None,
        )

    return await _set(context, input.states, proposal)


@mutation("set_task_run_states", audited=False, reports=True)
async def set_task_run_states(context: Context, input: SetTaskRunStates) -> StatesPayload:
    """Set states of task runs. The first refusal is the error of the field; the others stay done."""

    def proposal(item: SetTaskRunState) -> StateProposal:
        return StateProposal(
            run_kind=RunKind.TASK_RUN,
            run_id=item.task_run_id,
            state=item.state,
            seen_version=item.version,
            seen_flow_run_version=item.flow_run_version,
        )

    return await _set(context, input.states, proposal)


async def _set(
    context: Context, items: list[Item], propose: Callable[[Item], StateProposal]
) -> StatesPayload:
    results = []
    for proposal, outcome in await _proposed(context, items, propose):
        if isinstance(outcome, Refused):
            kind = "flow run" if proposal.run_kind is RunKind.FLOW_RUN else "task run"
            raise compat.state_error_of(outcome, kind=kind, run_id=str(proposal.run_id))
        if isinstance(outcome, VersionConflict):
            raise compat.conflict_error_of(outcome)
        if outcome.reopened:
            info = {"state": outcome.state, "version": str(outcome.version)}
            await context.record("set_flow_run_states", object_id=outcome.id, info=info)
        results.append(
            SetFlowRunStateResult(id=outcome.id, status=outcome.status, message=outcome.message)
        )
    return StatesPayload(states=results)


async def _proposed(
    context: Context, items: list[Item], propose: Callable[[Item], StateProposal]
) -> list[tuple[StateProposal, Outcome]]:
    """What became of each, in order, up to a refusal of all that are left.

    The ledger serves who comes first, in transactions of some hundred states: many at once are proposed in parts, of
    which each takes its share, so that another tenant's state does not wait for all of them. A part is made when its
    turn comes, since thousands of proposals at once would hold up the event loop.
    """
    if len(items) == 1:
        part = _part(context, items, propose)
        return list(zip(part, await _asked(context, part), strict=False))
    outcomes: list[tuple[StateProposal, Outcome]] = []
    for start in range(0, len(items), _PART):
        part = _part(context, items[start : start + _PART], propose)
        found: Sequence[Outcome]
        try:
            async with context.shared.states.of(context.owner, len(part)):
                found = await _asked(context, part)
        except BusyError:
            if not outcomes:
                raise
            # Some states are set, so the request must not be repeated as if nothing had happened.
            found = [Refused(code=Code.BUSY, fields={"service": "runs"})]
        outcomes += zip(part, found, strict=False)
        if len(found) < len(part):
            break
    return outcomes


def _part(
    context: Context, items: list[Item], propose: Callable[[Item], StateProposal]
) -> list[StateProposal]:
    proposals = [propose(item) for item in items]
    if (lease := context.lease) is None:
        return proposals
    held = {"lease_token": lease.token, "leased_flow_run_id": lease.flow_run_id}
    return [proposal.model_copy(update=held) for proposal in proposals]


async def _asked(context: Context, proposals: list[StateProposal]) -> Sequence[Outcome]:
    reply = await context.shared.bus.call(
        runs.SET_STATES,
        runs.SetStates(
            tenant_id=context.tenant_id,
            proposals=proposals,
            agent_id=context.agent_id,
            actor=context.actor_id,
        ),
    )
    return [reply] if isinstance(reply, Refused) else reply.outcomes
