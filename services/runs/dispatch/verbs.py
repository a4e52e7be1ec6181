"""The verbs of native agents: hello, claim, renew, report, drain."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from pydantic import ValidationError

from libs.contracts import agents
from libs.contracts.agents import ClaimedRun, HeldLease, Renewal
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RegisterAgent, RunKind, SetStates, StateProposal, StatesSet
from libs.contracts.states import State
from libs.runtime import exact_json, metrics, reported
from libs.runtime.clock import Clock
from libs.runtime.group_commit import GroupCommit, QueueFullError
from libs.runtime.ids import NewId
from libs.runtime.settings import PingSettings
from libs.runtime.trace import Tracing
from services.runs.dispatch.dispatcher import Dispatcher, OpenClaim
from services.runs.dispatch.domain import Crashed, Proposed, Requeued
from services.runs.dispatch.leases import AGENT_TYPE, LeaseStore
from services.runs.dispatch.settings import DispatchSettings
from services.runs.domain.creation import canonical_labels
from services.runs.domain.transitions import FlowRun
from services.runs.ledger.commands import Done, EndProcess

CAPACITY_LIMIT = 1000
"""Most runs of one claim; more than one machine starts at once."""
LABELS_LIMIT = 100
WAIT_LIMIT = 3600.0
"""Seconds that a claim may ask to wait; `park` is less, and what is between them is cut to `park`."""
RENEWALS_TOGETHER = 500
RENEWALS_WAITING = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCalls:
    """The ledger functions that dispatch uses, with the same rules as for clients."""

    set_states: Callable[[SetStates], Awaitable[StatesSet | Refused]]
    on_process_end: Callable[[EndProcess], Awaitable[Done]]
    """Decide about a run whose process is gone."""
    register_agent: Callable[[RegisterAgent], Awaitable[Applied | Refused]]
    """Returns the id of the agent, made or found."""


class Verbs:
    """Answers native agents, and collects their signs of life."""

    def __init__(
        self,
        ledger: LedgerCalls,
        leases: LeaseStore,
        dispatcher: Dispatcher,
        settings: DispatchSettings,
        *,
        pings: PingSettings,
        clock: Clock,
        ids: NewId,
        log: structlog.typing.FilteringBoundLogger,
        deliver: Callable[[OpenClaim, list[ClaimedRun]], None],
        due: Callable[[UUID], None],
        tracing: Tracing | None,
    ) -> None:
        self._ledger = ledger
        self._leases = leases
        self._dispatcher = dispatcher
        self._settings = settings
        self._pings = pings
        self._clock = clock
        self._ids = ids
        self._log = log
        self._deliver = deliver
        self._due = due
        self._seen: dict[tuple[UUID, UUID], datetime] = {}
        # Renewals of fifty agents at once are one statement, as with the ledger's states. It needs no transaction.
        self._renewals: GroupCommit[tuple[UUID, Sequence[HeldLease]], list[Renewal]] = GroupCommit(
            lambda: nullcontext(leases.renew),
            batch_limit=RENEWALS_TOGETHER,
            queue_limit=RENEWALS_WAITING,
            lanes=1,
            service="runs",
            tracing=tracing,
        )

    def start(self) -> None:
        """Called when the database is connected."""
        self._renewals.start()

    async def stop(self) -> None:
        """Accept nothing more."""
        await self._renewals.stop()

    # signs of life

    def take_seen(self) -> dict[tuple[UUID, UUID], datetime]:
        """The times of agents' signs of life, by (tenant, id), since the last call."""
        seen, self._seen = self._seen, {}
        return seen

    def hear_from_all(self, present: Iterable[tuple[UUID, UUID]]) -> int:
        """Count these agents, as (tenant, id), as present; returns how many."""
        heard = dict.fromkeys(present, self._clock())
        self._seen |= heard
        return len(heard)

    def _hear_from(self, tenant_id: UUID, agent_id: UUID) -> None:
        self._seen[tenant_id, agent_id] = self._clock()

    # verbs

    async def hello(self, tenant_id: UUID, request: agents.Hello) -> agents.Welcome | Refused:
        """Register an agent, and answer with its intervals."""
        if agents.PROTOCOL not in request.protocols:
            return _invalid(f"this ledger speaks protocol {agents.PROTOCOL} only")
        agent = RegisterAgent(
            tenant_id=tenant_id,
            type=AGENT_TYPE,
            name=request.name,
            labels=request.labels,
            core_version=request.core_version,
        )
        if (refused := _unbounded(request)) is not None:
            return refused
        is_paused = await self._leases.queue_is_paused(tenant_id)
        if is_paused is None:
            return Refused(code=Code.TENANT_INVALID)
        registered = await self._ledger.register_agent(agent)
        if isinstance(registered, Refused):
            return registered
        return agents.Welcome(
            protocol=agents.PROTOCOL,
            agent_id=registered.id,
            park=self._settings.claim_wait.total_seconds(),
            renew=self._settings.renew.total_seconds(),
            beat=self._pings.heartbeat_interval.total_seconds(),
            silence=self._pings.heartbeat_silence.total_seconds(),
            kill=self._settings.kill_after.total_seconds(),
            queue_is_paused=is_paused,
        )

    async def renew(self, tenant_id: UUID, request: agents.Renew) -> agents.Renewed | Refused:
        """Renew leases."""
        if (refused := _other_protocol(request)) is not None:
            return refused
        self._hear_from(tenant_id, request.agent_id)
        if not request.held:
            return agents.Renewed(renewals=[])
        try:
            renewals = await self._renewals.submit(
                (tenant_id, request.held), weight=len(request.held)
            )
        except QueueFullError:
            return Refused(code=Code.BUSY, fields={"service": "runs"})
        return agents.Renewed(renewals=renewals)

    async def report(self, tenant_id: UUID, request: agents.Report) -> agents.Reported | Refused:
        """A process has ended."""
        if (refused := _other_protocol(request)) is not None:
            return refused
        self._hear_from(tenant_id, request.agent_id)
        decided = await self._leases.end(
            tenant_id,
            request.flow_run_id,
            request.lease_token,
            request.outcome,
            exit_code=request.exit_code,
            message=request.message,
        )
        if decided is None:
            return Refused(code=Code.LEASE_LOST, fields={"id": str(request.flow_run_id)})
        run, ending = decided
        metrics.LEASES_ENDED.labels(type(ending).__name__.lower()).inc()
        state = run.state
        match ending:
            case Requeued():
                state = State.SCHEDULED
                self._due(tenant_id)
            case Proposed():
                state = await self.propose(run, ending)
            case Crashed():
                state = await self._report_crashed(run, ending)
                self._due(tenant_id)
            case _:
                pass
        self._log.info(
            "process_ended",
            flow_run_id=str(run.id),
            outcome=request.outcome,
            exit_code=request.exit_code,
            decision=type(ending).__name__,
            state=state,
        )
        return agents.Reported(flow_run_id=run.id, state=state)

    async def drain(self, tenant_id: UUID, request: agents.Drain) -> Applied | Refused:
        """The agent claims nothing new."""
        if (refused := _other_protocol(request)) is not None:
            return refused
        self._dispatcher.drop(tenant_id, request.session)
        return Applied(id=request.session)

    async def on_claim(self, tenant_id: UUID, request: agents.Claim, reply: str) -> Refused | None:
        """Keep the claim; it is answered when there are runs."""
        refusal = _unacceptable(request)
        if refusal is not None:
            return refusal
        self._hear_from(tenant_id, request.agent_id)
        claim = OpenClaim(
            tenant_id=tenant_id,
            request=request,
            labels=frozenset(canonical_labels(request.labels)),
            reply=reply,
        )
        wait = min(request.wait, self._settings.claim_wait.total_seconds())
        if request.is_repeated:
            await self._claim_again(claim, wait)
        else:
            self._dispatcher.add(claim, wait=wait)
        return None

    async def _claim_again(self, claim: OpenClaim, wait: float) -> None:
        """The agent got no answer: send the same runs again, else keep the claim."""
        runs = await self._leases.claimed_before(
            claim.tenant_id, claim.request.claim_id, claim.request.agent_id
        )
        if runs:
            self._deliver(claim, runs)
        else:
            self._dispatcher.add(claim, wait=wait)

    # decided by the ledger

    async def propose(self, run: FlowRun, proposed: Proposed) -> str:
        """Propose a state to the ledger, by the same rules as for clients; returns the run's state after it."""
        proposal = StateProposal(
            run_kind=RunKind.FLOW_RUN,
            run_id=run.id,
            state={"type": proposed.state.value, "message": proposed.message},
        )
        answer = await self._ledger.set_states(
            SetStates(tenant_id=run.tenant_id, proposals=[proposal])
        )
        if isinstance(answer, Refused) or isinstance(answer.outcomes[0], Refused):
            self._log.info("proposal_refused", flow_run_id=str(run.id), state=proposed.state)
            return run.state
        return answer.outcomes[0].state

    async def _report_crashed(self, run: FlowRun, crashed: Crashed) -> str:
        """Have the ledger decide about a run whose process is gone; returns the run's state after it."""
        done = await self._ledger.on_process_end(
            EndProcess(
                tenant_id=run.tenant_id,
                flow_run_id=run.id,
                seen_version=run.version,
                said=crashed.message,
            )
        )
        return done.state or run.state


def _unacceptable(claim: agents.Claim) -> Refused | None:
    if (refused := _other_protocol(claim)) is not None:
        return refused
    if not 0 <= claim.wait <= WAIT_LIMIT:
        return _invalid(f"wait: between 0 and {WAIT_LIMIT:.0f} seconds")
    return _unbounded(claim)


def _unbounded(request: agents.Hello | agents.Claim) -> Refused | None:
    if not 1 <= request.capacity <= CAPACITY_LIMIT:
        return _invalid(f"capacity: between 1 and {CAPACITY_LIMIT}")
    if len(request.labels) > LABELS_LIMIT:
        return _invalid(f"labels: at most {LABELS_LIMIT}")
    return None


def _other_protocol(
    request: agents.Claim | agents.Renew | agents.Report | agents.Drain,
) -> Refused | None:
    if request.protocol == agents.PROTOCOL:
        return None
    return _invalid(f"protocol: this ledger speaks {agents.PROTOCOL}, not {request.protocol}")


def _invalid(reason: str) -> Refused:
    return Refused(code=Code.INVALID, fields={"reason": reason})


def read_report(data: bytes) -> agents.Report:
    """A report's text is the last output of a process; it is cleaned instead of refused."""
    try:
        return agents.Report.model_validate_json(data)
    except ValidationError:
        try:
            found = reported.clean(exact_json.loads_leniently(data))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise
        return agents.Report.model_validate(found)
