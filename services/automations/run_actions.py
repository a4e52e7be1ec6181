"""Actions on runs: cancel the run, pause schedules, create a run. Commands to our own services, as people give them.

An action may be done again after a crash: cancelling and pausing twice change nothing, and a created run has the
delivery's key as its idempotency key. Each needs the rights that who made the hook has now, and is in the audit trail.
What the ledger proposes to is the run as we see it now, at its version; a run that was scheduled anew since the event
is another attempt, and is left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from libs.contracts import registry, runs
from libs.contracts.automations import RUN_ACTIONS, ActionType
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.gateway import MAY_ACT, MayAct
from libs.contracts.runs import RunKind, StateApplied, StateProposal, VersionConflict
from libs.contracts.states import LIVE_FAMILY, State, is_finished
from libs.runtime.bus import Bus
from libs.runtime.database import Database
from services.automations.delivery.store import Leased
from services.automations.domain import chains, templates
from services.automations.domain.retries import Answer

_TRANSIENT = frozenset({Code.UNAVAILABLE, Code.BUSY, Code.INTERNAL})
_Mutation = Literal["cancel_flow_run", "set_schedule_inactive", "create_flow_run"]
_TRIES = 5
"""Proposals for a run that moves while we look; then the delivery is tried again later."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run as it is now. `attempt` is the version of its last Scheduled state."""

    version: int
    state: str
    attempt: int


class RunActions:
    """Does what `RUN_ACTIONS` name. It never raises for a refusal; an outage of PostgreSQL is raised."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    def has(self, action_type: str) -> bool:
        """Whether this type of action is one of them."""
        return action_type in RUN_ACTIONS

    async def act(self, delivery: Leased) -> Answer:
        """Do it once."""
        config = delivery.action_config or {}
        match delivery.action_type:
            case ActionType.CANCEL_FLOW_RUN:
                return await self._cancel_run(delivery, config)
            case ActionType.PAUSE_SCHEDULE:
                return await self._pause(delivery, config)
            case ActionType.CREATE_FLOW_RUN:
                return await self._create(delivery, config)
            case _:
                return _failed(f"{delivery.action_type} is no action on runs")

    async def _may_not(
        self, delivery: Leased, mutation: _Mutation, object_id: UUID | None
    ) -> Answer | None:
        """Why it is not done, or None: whoever made the hook may have lost the right since."""
        reply = await self._bus.call(
            MAY_ACT,
            MayAct(
                tenant_id=delivery.tenant_id,
                mutation=mutation,
                user_id=delivery.acts_for,
                object_id=object_id,
                hook_id=delivery.hook_id,
                delivery_id=delivery.id,
            ),
        )
        if isinstance(reply, Refused):
            return _refused(reply)
        if reply.missing:
            needed = ", ".join(reply.missing)
            return _failed(
                f"Not done: user {delivery.acts_for}, who made it or tests it, has no permission {needed} any more."
            )
        return None

    async def _cancel_run(self, delivery: Leased, config: Mapping[str, Any]) -> Answer:
        if (flow_run_id := _id(delivery.event.get("flow_run_id"))) is None:
            return _failed("The event is about no run, so there is none to cancel.")
        if (not_ours := await self._may_not(delivery, "cancel_flow_run", flow_run_id)) is not None:
            return not_ours
        message = templates.rendered(
            str(config.get("message") or "Cancelled by an automation."), delivery.event
        )
        of_event = delivery.event.get("flow_run_version")
        for _ in range(_TRIES):
            seen = await self._look(delivery.tenant_id, flow_run_id)
            if seen is None:
                return _done("The run was deleted meanwhile.")
            if is_finished(seen.state) or seen.state == State.CANCELLING:
                return _done(f"The run is {seen.state} already.")
            if isinstance(of_event, int) and seen.attempt > of_event:
                return _done("The run was scheduled anew since the event; it is left alone.")
            # A running process is asked to stop; without a process the run ends at once.
            wanted = State.CANCELLING if seen.state in LIVE_FAMILY else State.CANCELLED
            reply = await self._bus.call(
                runs.SET_STATES,
                runs.SetStates(
                    tenant_id=delivery.tenant_id,
                    proposals=[
                        StateProposal(
                            run_kind=RunKind.FLOW_RUN,
                            run_id=flow_run_id,
                            state={"type": wanted, "message": message},
                            seen_version=seen.version,
                            by_person=True,
                            exact=True,
                        )
                    ],
                    actor=delivery.acts_for,
                ),
            )
            if isinstance(reply, Refused):
                return _refused(reply)
            match reply.outcomes[0]:
                case StateApplied(state=state):
                    return _done(f"The run is {state} now.")
                case VersionConflict():
                    # It moved between our look and the proposal: look again.
                    continue
                case Refused() as refused:
                    return _refused(refused)
        return Answer(error="The run moved on each time we looked; it is tried again.")

    async def _look(self, tenant_id: UUID, flow_run_id: UUID) -> _Seen | None:
        row = await self._database.pool.fetchrow(
            "SELECT r.version, r.state, coalesce((SELECT max(s.version) FROM runs.flow_run_state s"
            " WHERE s.flow_run_id = r.id AND s.tenant_id = r.tenant_id AND s.state = 'Scheduled'), 0) AS attempt"
            " FROM runs.flow_run r WHERE r.id = $1 AND r.tenant_id = $2",
            flow_run_id,
            tenant_id,
        )
        return None if row is None else _Seen(*row)

    async def _pause(self, delivery: Leased, config: Mapping[str, Any]) -> Answer:
        group_id = _id(config.get("flow_group_id") or delivery.event.get("flow_group_id"))
        if group_id is None:
            return _failed("Neither the action nor the event names a flow group to pause.")
        if (
            not_ours := await self._may_not(delivery, "set_schedule_inactive", group_id)
        ) is not None:
            return not_ours
        rows = await self._database.pool.fetch(
            "SELECT id FROM registry.flow WHERE tenant_id = $1 AND flow_group_id = $2"
            " AND NOT archived AND is_schedule_active ORDER BY id",
            delivery.tenant_id,
            group_id,
        )
        for row in rows:
            reply = await self._bus.call(
                registry.SET_SCHEDULE_ACTIVE,
                registry.SetScheduleActive(
                    tenant_id=delivery.tenant_id, flow_id=row["id"], active=False
                ),
            )
            if isinstance(reply, Refused):
                return _refused(reply)
        return _done(f"{len(rows)} schedules were paused.")

    async def _create(self, delivery: Leased, config: Mapping[str, Any]) -> Answer:
        group_id = _id(config.get("flow_group_id") or delivery.event.get("flow_group_id"))
        group: str | None = await self._database.pool.fetchval(
            "SELECT name FROM registry.flow_group WHERE tenant_id = $1 AND id = $2",
            delivery.tenant_id,
            group_id,
        )
        if group is None:
            return _failed("The flow group of the new run is gone, or nothing names one.")
        if (not_ours := await self._may_not(delivery, "create_flow_run", group_id)) is not None:
            return not_ours
        reply = await self._bus.call(
            runs.CREATE_FLOW_RUN,
            runs.CreateFlowRun(
                tenant_id=delivery.tenant_id,
                version_group_id=group,
                parameters=config.get("parameters"),
                labels=config.get("labels"),
                idempotency_key=chains.KEY_PREFIX + delivery.dedup,
                created_by=delivery.acts_for,
            ),
        )
        if isinstance(reply, Refused):
            return _refused(reply)
        return _done(f"Created the run {reply.id}.")


def _id(value: object) -> UUID | None:
    try:
        return None if value is None else UUID(str(value))
    except ValueError:
        return None


def _done(text: str) -> Answer:
    return Answer(text=text, succeeded=True)


def _failed(error: str) -> Answer:
    return Answer(error=error, for_good=True)


def _refused(refused: Refused) -> Answer:
    reason = refused.fields.get("reason") or ", ".join(
        f"{name} {value}" for name, value in refused.fields.items()
    )
    error = f"Refused: {refused.code.value}" + (f" ({reason})" if reason else "")
    return Answer(error=error, for_good=refused.code not in _TRANSIENT)
