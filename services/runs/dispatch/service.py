"""What the ledger's app calls: declare the verbs, the signals and the loops; be told of due runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import nats.errors
from nats.aio.msg import Msg
from pydantic import ValidationError

from libs.contracts import agent_access, agents, heartbeat, subjects
from libs.contracts.agents import ClaimedRun, Held, Outcome, Renewal
from libs.contracts.base import Applied, Message, Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RegisterAgent, RunKind, SetStates, StateProposal
from libs.contracts.states import State
from libs.runtime import exact_json, metrics, reported
from libs.runtime.settings import PingSettings
from services.runs.agents import unstorable_identity
from services.runs.commit import GroupCommit, QueueFullError
from services.runs.dispatch.dispatcher import Dispatcher, Parked
from services.runs.dispatch.domain import Crashed, Labels, Proposed, Requeued
from services.runs.dispatch.leases import AGENT_TYPE, Leases
from services.runs.dispatch.lines import AgentLines
from services.runs.dispatch.settings import DispatchSettings
from services.runs.domain.creation import canonical_labels
from services.runs.domain.transitions import FlowRun

if TYPE_CHECKING:
    from services.runs.app import Runs

CAPACITY_LIMIT = 1000
"""Runs that one claim may ask for; more than one machine starts at once."""
LABELS_LIMIT = 100
RENEWALS_TOGETHER = 500
RENEWALS_WAITING = 50_000

Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)


class Dispatch:
    """The verbs of native agents."""

    def __init__(self, service: "Runs", settings: DispatchSettings, *, pings: PingSettings) -> None:
        self._service = service
        self._settings = settings
        self._pings = pings
        self._log = service.log
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: dict[tuple[UUID, UUID], datetime] = {}
        self._replica = str(service.ids()).encode()
        self._told: set[UUID] = set()
        self.leases = Leases(
            service.database,
            settings,
            clock=service.clock,
            ids=service.ids,
            committed=service.committed,
        )
        # Fifty agents that confirm at once are one statement, as with the ledger's states.
        self._renewals: GroupCommit[tuple[UUID, Sequence[Held]], list[Renewal]] = GroupCommit(
            lambda: nullcontext(self.leases.renew),  # has a transaction of its own
            batch_limit=RENEWALS_TOGETHER,
            queue_limit=RENEWALS_WAITING,
            lanes=1,
            service=service.name,
            tracing=service.tracing,
        )
        self.dispatcher = Dispatcher(
            self.leases,
            deliver=self._deliver,
            signal=self._signal_work_ready,
            signal_again=settings.signal_again,
        )

    # for the ledger's app

    def start(self) -> None:
        """The database is there."""
        self._renewals.start()

    def due(self, tenant_id: UUID) -> None:
        """Runs of this tenant are due, or soon will be: serve those who wait here, and let other replicas know."""
        self.dispatcher.due(tenant_id)
        if tenant_id not in self._told:
            self._told.add(tenant_id)
            self._spawn(self._tell_replicas(tenant_id))

    async def stop(self) -> None:
        """Answer what waits, so that agents ask elsewhere, and write down who was here."""
        await self.dispatcher.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.acknowledge.total_seconds())
        await self._renewals.stop()
        await self.write_presence()

    # loops

    async def write_presence(self) -> int:
        """Write down the agents heard of since the last time; how many."""
        seen, self._seen = self._seen, {}
        if seen:
            await self.leases.seen(seen)
        return len(seen)

    async def note_parked(self) -> int:
        """Agents whose claims wait here are present without a word; how many."""
        now = self._service.clock()
        waiting = dict.fromkeys(self.dispatcher.waiting_agents(), now)
        self._seen |= waiting
        return len(waiting)

    async def take_back(self) -> int:
        """Queue again what agents took and never began; how many runs."""
        lapsed = await self.leases.take_back_lapsed()
        for each in lapsed:
            metrics.LEASES_ENDED.labels("lapsed").inc()
            if isinstance(each.ending, Proposed):
                await self._propose(each.run, each.ending)
            self._log.info(
                "lease_lapsed",
                flow_run_id=str(each.run.id),
                agent_id=str(each.run.agent_id),
                attempt=each.run.attempt,
            )
        for tenant_id in {each.run.tenant_id for each in lapsed}:
            self.due(tenant_id)
        return len(lapsed)

    # verbs

    async def hello(self, tenant_id: UUID, request: agents.Hello) -> agents.Welcome | Refused:
        """Register an agent and tell it how to behave."""
        if agents.PROTOCOL not in request.protocols:
            return _invalid(f"this ledger speaks protocol {agents.PROTOCOL} only")
        agent = RegisterAgent(
            tenant_id=tenant_id,
            type=AGENT_TYPE,
            name=request.name,
            labels=request.labels,
            core_version=request.core_version,
        )
        if (reason := unstorable_identity(agent)) is not None:
            return _invalid(reason)
        if len(request.labels) > LABELS_LIMIT:
            return _invalid(f"labels: at most {LABELS_LIMIT}")
        if not await self.leases.tenant_exists(tenant_id):
            return Refused(code=Code.TENANT_INVALID)
        agent_id = await self._service.handlers.agents.register(
            agent, id_=self._service.ids(), at=self._service.clock()
        )
        return agents.Welcome(
            protocol=agents.PROTOCOL,
            agent_id=agent_id,
            park=self._settings.park.total_seconds(),
            renew=self._settings.renew.total_seconds(),
            beat=self._pings.heartbeat_interval.total_seconds(),
            silence=self._pings.heartbeat_silence.total_seconds(),
            kill=self._settings.kill.total_seconds(),
        )

    async def renew(self, tenant_id: UUID, request: agents.Renew) -> agents.Renewed:
        """Renew leases."""
        self._hear_from(tenant_id, request.agent_id)
        if not request.held:
            return agents.Renewed(renewals=[])
        return agents.Renewed(
            renewals=await self._renewals.submit(
                (tenant_id, request.held), weight=len(request.held)
            )
        )

    async def report(self, tenant_id: UUID, request: agents.Report) -> agents.Reported | Refused:
        """A process is gone."""
        self._hear_from(tenant_id, request.agent_id)
        decided = await self.leases.end(
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
                self.due(tenant_id)
            case Proposed():
                state = await self._propose(run, ending)
            case Crashed():
                await self._bury_crashed(run)
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

    async def drain(self, tenant_id: UUID, request: agents.Drain) -> Applied:
        """The agent takes nothing new."""
        self.dispatcher.drop(tenant_id, request.session)
        return Applied(id=request.session)

    async def on_claim(self, tenant_id: UUID, request: agents.Claim, reply: str) -> Refused | None:
        """Park the claim; its answer comes when there is one."""
        refusal = _unacceptable(request)
        if refusal is not None:
            return refusal
        self._hear_from(tenant_id, request.agent_id)
        parked = Parked(
            tenant_id=tenant_id,
            claim=request,
            labels=frozenset(canonical_labels(request.labels)),
            reply=reply,
        )
        wait = min(request.wait, self._settings.park.total_seconds())
        if request.is_repeated:
            await self._claim_again(parked, wait)
        else:
            self.dispatcher.park(parked, wait=wait)
        return None

    async def _claim_again(self, parked: Parked, wait: float) -> None:
        """The agent never saw an answer: give it what it was given, else let it wait."""
        runs = await self.leases.claimed_before(
            parked.tenant_id, parked.claim.claim_id, parked.claim.agent_id
        )
        if runs:
            self._deliver(parked, runs)
        else:
            self.dispatcher.park(parked, wait=wait)

    # answers

    def _deliver(self, parked: Parked, runs: list[ClaimedRun]) -> None:
        self._spawn(self._send(parked, runs))

    async def _send(self, parked: Parked, runs: list[ClaimedRun]) -> None:
        """Answer a claim. With runs it is a request, so that the broker says when the agent is no longer there."""
        body = _json(agents.Claimed(claim_id=parked.claim.claim_id, runs=runs))
        client = self._service.bus.client
        if not runs:
            await client.publish(parked.reply, body)
            return
        try:
            await client.request(
                parked.reply, body, timeout=self._settings.acknowledge.total_seconds()
            )
        except nats.errors.NoRespondersError:
            self._log.info("claimant_gone", agent_id=str(parked.claim.agent_id), returned=len(runs))
            for run in runs:
                await self.leases.end(
                    parked.tenant_id,
                    run.flow_run_id,
                    run.lease_token,
                    Outcome.RETURNED,
                    exit_code=None,
                    message="The agent that took this run had gone.",
                )
            self.due(parked.tenant_id)
        except (nats.errors.Error, TimeoutError):
            # It may have it or not: its renewal tells, or the first lease lapses.
            self._log.info("claim_unacknowledged", agent_id=str(parked.claim.agent_id))

    async def _propose(self, run: FlowRun, proposed: Proposed) -> str:
        """Have the ledger write a state, by the rules for everybody; the state that the run has then."""
        proposal = StateProposal(
            run_kind=RunKind.FLOW_RUN,
            run_id=run.id,
            state={"type": proposed.state.value, "message": proposed.message},
        )
        answer = await self._service.handlers.set_states(
            SetStates(tenant_id=run.tenant_id, proposals=[proposal])
        )
        if isinstance(answer, Refused) or isinstance(answer.outcomes[0], Refused):
            self._log.info("proposal_refused", flow_run_id=str(run.id), state=proposed.state)
            return run.state
        return answer.outcomes[0].state

    async def _bury_crashed(self, run: FlowRun) -> None:
        """A process that is known to be dead is a zombie without the wait."""
        now = self._service.clock()
        await self._service.handlers.on_zombie(
            heartbeat.FlowRunZombieDetected(
                event_id=self._service.ids(),
                at=now,
                tenant_id=run.tenant_id,
                flow_run_id=run.id,
                version=run.version,
                last_seen=now,
            )
        )

    # hints

    def _hear_from(self, tenant_id: UUID, agent_id: UUID) -> None:
        self._seen[tenant_id, agent_id] = self._service.clock()

    def _signal_work_ready(self, tenant_id: UUID, sets: list[Labels]) -> None:
        body = _json(agents.WorkReady(labels=[sorted(labels) for labels in sets]))
        subject = subjects.SIG_AGENT_WORK_READY.at(tenant_id=tenant_id)
        self._spawn(self._service.bus.signal(subject, body))

    async def _tell_replicas(self, tenant_id: UUID) -> None:
        """One hint for whatever is committed within a few milliseconds."""
        await asyncio.sleep(0.005)
        self._told.discard(tenant_id)
        await self._service.bus.signal(subjects.SIG_RUN_DUE.at(tenant_id=tenant_id), self._replica)

    async def on_run_due(self, message: Msg) -> None:
        """Another replica committed something that is due."""
        tenant_id = _uuid(message.subject.rpartition(".")[2])
        if tenant_id is not None and message.data != self._replica:
            self.dispatcher.due(tenant_id)

    # plumbing

    def asking_tenant(self, message: Msg) -> UUID | None:
        """Whose agent asks; None for a request that stays unanswered, since its answer may not go where it says."""
        tenant_id = _tenant_of(message)
        if tenant_id is not None and agent_access.is_answerable(tenant_id, message.reply):
            return tenant_id
        metrics.REPLIES_REFUSED.inc()
        return None

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.create_task(self._attempt(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self._log.warning("dispatch_step_failed", error=str(error), kind=type(error).__name__)


def declare(
    service: "Runs", settings: DispatchSettings | None = None, *, pings: PingSettings
) -> Dispatch:
    """Declare verbs, signals and loops on the service, before its bus starts."""
    settings = settings or DispatchSettings()
    dispatch = Dispatch(service, settings, pings=pings)
    bus = service.bus
    bus.hear(subjects.SIG_RUN_DUE, dispatch.on_run_due, shared=False)
    bus.hear(subjects.LOG, AgentLines(bus, spawn=dispatch._spawn).on_lines)
    serve = partial(bus.serve_tenants, whose=dispatch.asking_tenant)
    serve(agents.CLAIM, dispatch.on_claim, hot=True)  # most wait here for long
    serve(agents.RENEW, _of_protocol(dispatch.renew), hot=True)  # a group commit
    serve(agents.HELLO, _of_protocol(dispatch.hello))
    serve(agents.REPORT, _of_protocol(dispatch.report), read=_read_report)
    serve(agents.DRAIN, _of_protocol(dispatch.drain))
    service.add_loop("dispatch", interval=settings.tick, tick=dispatch.dispatcher.tick)
    service.add_loop("leases", interval=settings.lapse_tick, tick=dispatch.take_back)
    service.add_loop("parked", interval=settings.parked_tick, tick=dispatch.note_parked)
    service.add_loop("presence", interval=settings.presence_tick, tick=dispatch.write_presence)
    return dispatch


def _of_protocol(
    handler: Callable[[UUID, Req], Awaitable[Rep | Refused]],
) -> Callable[[UUID, Req, str], Awaitable[Rep | Refused]]:
    """The handler, called for requests of the protocol that this ledger speaks."""

    async def checked(tenant_id: UUID, request: Req, _reply: str) -> Rep | Refused:
        protocol = getattr(request, "protocol", agents.PROTOCOL)
        if protocol != agents.PROTOCOL:
            return _invalid(f"protocol: this ledger speaks {agents.PROTOCOL}, not {protocol}")
        try:
            return await handler(tenant_id, request)
        except QueueFullError:
            return Refused(code=Code.BUSY, fields={"service": "runs"})

    return checked


def _unacceptable(claim: agents.Claim) -> Refused | None:
    if claim.protocol != agents.PROTOCOL:
        return _invalid(f"protocol: this ledger speaks {agents.PROTOCOL}, not {claim.protocol}")
    if not 1 <= claim.capacity <= CAPACITY_LIMIT:
        return _invalid(f"capacity: between 1 and {CAPACITY_LIMIT}")
    if len(claim.labels) > LABELS_LIMIT:
        return _invalid(f"labels: at most {LABELS_LIMIT}")
    return None


def _invalid(reason: str) -> Refused:
    return Refused(code=Code.INVALID, fields={"reason": reason})


def _read_report(data: bytes) -> agents.Report:
    """A report's text is what a process said last, and is cleaned rather than refused."""
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


def _tenant_of(message: Msg) -> UUID | None:
    return _uuid(message.subject.split(".")[3])


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _json(body: Message) -> bytes:
    return body.model_dump_json().encode()
