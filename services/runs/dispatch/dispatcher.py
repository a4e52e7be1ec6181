"""Waiting claims, and the passes that serve them (see the package's page)."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from libs.contracts.agents import Claim, ClaimedRun
from libs.runtime import log, metrics
from libs.runtime.failures import is_outage
from services.runs.dispatch.domain import Labels, WaitingClaim, is_servable
from services.runs.dispatch.found import DueSet, Served
from services.runs.dispatch.leases import LeaseStore
from services.runs.dispatch.release import Release

Deliver = Callable[["OpenClaim", list[ClaimedRun]], None]
Signal = Callable[[UUID, list[Labels]], None]

HORIZON = timedelta(seconds=3)
"""How far ahead instants get a timer of their own; longer than the tick, so that none is missed between two looks."""
_EARLY = 0.002
"""Seconds that a timer waits beyond the instant, so that PostgreSQL's clock has reached it too."""
_TIMER_RESOLUTION = 0.002
"""Seconds that a timer may fire too early: uvloop counts whole milliseconds."""
PASS_ROOM = 200
"""Runs taken in one pass: a transaction of some ten milliseconds."""
_PAUSE_AFTER_FAILURE = 1.0
_SERVED_FOR = 5.0
"""Seconds for which the list of tenants with native agents is cached."""


@dataclass(slots=True, kw_only=True, eq=False)
class OpenClaim:
    """A claim without an answer yet, and the subject for its answer."""

    tenant_id: UUID
    request: Claim
    labels: Labels
    reply: str
    expires: "asyncio.TimerHandle | None" = None

    @property
    def waiting(self) -> WaitingClaim:
        return WaitingClaim(
            claim_id=self.request.claim_id, labels=self.labels, capacity=self.request.capacity
        )


@dataclass(slots=True)
class _Tenant:
    """A replica's state of one tenant. `claims` is in the order of turns, by session."""

    claims: dict[UUID, OpenClaim] = field(default_factory=dict)
    due: set[Labels] = field(default_factory=set)
    """Label sets with due runs at the last look."""
    soon: dict[Labels, float] = field(default_factory=dict)
    """Label sets whose next run comes due within the horizon, and when, by the loop's clock."""
    has_backlog: bool = False
    """Whether runs still wait that were due when the work queue was resumed."""
    release: Release = field(default_factory=Release)
    looked: bool = False
    must_look: bool = True
    """A run may have become due since the last look."""
    signalled: dict[Labels, float] = field(default_factory=dict)
    timer: "asyncio.TimerHandle | None" = None
    pass_: "asyncio.Task[None] | None" = None
    again: bool = False


class Dispatcher:
    """Keeps claims until it can serve them.

    `deliver` sends an answer; `signal` sends hints to agents that wait elsewhere, and `signal_pause` says that their
    work queue was paused, or resumed.
    """

    def __init__(
        self,
        leases: LeaseStore,
        *,
        deliver: Deliver,
        signal: Signal,
        signal_pause: Callable[[UUID, bool], None],
        signal_again: timedelta,
        resume_rate: int,
    ) -> None:
        self._leases = leases
        self._deliver = deliver
        self._signal = signal
        self._signal_pause = signal_pause
        self._signal_again = signal_again.total_seconds()
        self._tenants: dict[UUID, _Tenant] = {}
        self._resume_rate = resume_rate
        self._served: dict[UUID, Served] = {}
        self._served_until = 0.0
        self._log = log.get("runs")
        self.passes = 0
        self.claimed = 0

    @property
    def waiting(self) -> int:
        """How many claims wait."""
        return sum(len(tenant.claims) for tenant in self._tenants.values())

    def waiting_agents(self) -> Iterator[tuple[UUID, UUID]]:
        """Agents with a waiting claim, as (tenant, agent)."""
        for tenant_id, tenant in self._tenants.items():
            for claim in tenant.claims.values():
                yield tenant_id, claim.request.agent_id

    def add(self, claim: OpenClaim, *, wait: float) -> None:
        """Keep a claim for so many seconds. It is served at once if a suitable run is known to be due."""
        tenant = self._tenants.setdefault(claim.tenant_id, _Tenant())
        session = claim.request.session
        self._remove(tenant, session)
        tenant.claims[session] = claim
        loop = asyncio.get_running_loop()
        if wait > 0:
            end = self._forget if claim.request.expires_silently else self._expire
            claim.expires = loop.call_later(wait, end, claim)
        if wait <= 0 or not tenant.looked:
            self.due(claim.tenant_id)
        elif _any_servable(tenant.due, claim.labels):
            self._start_pass(claim.tenant_id)
        else:
            self._set_timer(claim.tenant_id, tenant)

    def drop(self, tenant_id: UUID, session: UUID) -> None:
        """Drop the session's claim."""
        tenant = self._tenants.get(tenant_id)
        if tenant is not None:
            self._remove(tenant, session)

    def due(self, tenant_id: UUID) -> None:
        """Runs of the tenant may be due: make a pass, or one more after the current one."""
        tenant = self._tenants.get(tenant_id)
        if tenant is not None:
            tenant.must_look = True
            self._start_pass(tenant_id)

    def _start_pass(self, tenant_id: UUID) -> None:
        tenant = self._tenants[tenant_id]
        if not tenant.claims:
            # No claim waits here; the tick sends hints to agents that wait elsewhere.
            return
        if tenant.pass_ is not None:
            tenant.again = True
            return
        tenant.pass_ = asyncio.create_task(self._serve(tenant_id, tenant), name="dispatch")

    async def tick(self) -> int:
        """For all tenants with waiting claims, look for runs that are due now or soon; returns how many tenants.

        Signals and commits are faster; the tick makes dispatch correct when they are lost.
        """
        for tenant in self._tenants.values():
            if not tenant.claims:
                # Its cached state is no longer updated.
                tenant.looked, tenant.must_look = False, True
        tenants = {id_ for id_, tenant in self._tenants.items() if tenant.claims}
        tenants |= (await self._served_tenants()).keys()
        if tenants:
            for id_ in tenants:
                self._tenants.setdefault(id_, _Tenant())
            self._learn(tenants, await self._leases.look(sorted(tenants), horizon=HORIZON))
            for id_ in tenants:
                tenant = self._tenants[id_]
                if self._servable_sets(tenant):
                    self._start_pass(id_)
                elif tenant.due:
                    self._signal_others(id_, tenant)
        metrics.CLAIMS_WAITING.set(self.waiting)
        return len(tenants)

    async def _served_tenants(self) -> dict[UUID, Served]:
        """Tenants with native agents, read now and then: their claims may wait on another replica, or were lost
        there. Tells agents whose work queue was paused, or resumed."""
        now = asyncio.get_running_loop().time()
        if now >= self._served_until:
            before, self._served = self._served, await self._leases.tenants_with_agents()
            for tenant_id, served in self._served.items():
                was_paused = tenant_id in before and before[tenant_id].is_paused
                if served.is_paused != was_paused:
                    self._signal_pause(tenant_id, served.is_paused)
            self._served_until = now + _SERVED_FOR
        return self._served

    async def stop(self) -> None:
        """End passes and timers, and answer every waiting claim with nothing, so that agents ask another replica."""
        for tenant in self._tenants.values():
            if tenant.timer is not None:
                tenant.timer.cancel()
            if tenant.pass_ is not None:
                tenant.pass_.cancel()
                await asyncio.gather(tenant.pass_, return_exceptions=True)
            for claim in list(tenant.claims.values()):
                self._expire(claim)

    # one pass

    async def _serve(self, tenant_id: UUID, tenant: _Tenant) -> None:
        try:
            while True:
                tenant.again = False
                before = list(tenant.claims.values())
                try:
                    served = await self._pass(tenant_id, tenant)
                except Exception as error:
                    self._log.error(
                        "dispatch_failed", error=str(error), exc_info=not is_outage(error)
                    )
                    await asyncio.sleep(_PAUSE_AFTER_FAILURE)
                    served = False
                self._answer_impatient(tenant, before)
                if not served and not tenant.again:
                    return
        finally:
            tenant.pass_ = None

    async def _pass(self, tenant_id: UUID, tenant: _Tenant) -> bool:
        """Serve the claims; returns whether there may be more for those that still wait.

        When a timer says what is due, the look comes at the end: the next instant must be known anyway.
        """
        self.passes += 1
        if tenant.must_look:
            await self._look(tenant_id, tenant)
        reached = asyncio.get_running_loop().time() + _TIMER_RESOLUTION
        tenant.due |= {labels for labels, at in tenant.soon.items() if at <= reached}
        sets = self._servable_sets(tenant)
        if not sets:
            self._set_timer(tenant_id, tenant)
            if tenant.due:
                self._signal_others(tenant_id, tenant)
            return False
        limit = self._limit(tenant)
        if limit == 0:
            self._pass_at(tenant_id, tenant, tenant.release.reopens)
            return False
        chosen: list[OpenClaim] = []
        room = 0
        for claim in tenant.claims.values():
            if room >= PASS_ROOM:
                break
            if any(is_servable(labels, claim.labels) for labels in sets):
                chosen.append(claim)
                room += claim.request.capacity
        claimed = await self._leases.claim(
            tenant_id,
            [claim.waiting for claim in chosen],
            {claim.request.claim_id: claim.request.agent_id for claim in chosen},
            sets,
            at_most=limit,
        )
        if limit is not None:
            tenant.release.take(sum(map(len, claimed.values())))
        for claim in chosen:
            runs = claimed.get(claim.request.claim_id)
            if runs:
                # The claim may have expired or been replaced meanwhile; its agent accepts the runs all the same.
                if tenant.claims.get(claim.request.session) is claim:
                    self._remove(tenant, claim.request.session)
                self.claimed += len(runs)
                self._deliver(claim, runs)
        await self._look(tenant_id, tenant)
        return bool(claimed) and bool(self._servable_sets(tenant))

    def _limit(self, tenant: _Tenant) -> int | None:
        """How many runs this pass may take: after a pause so many a second, otherwise what the claims have room for."""
        if not tenant.has_backlog:
            return None
        return tenant.release.room(self._resume_rate, now=asyncio.get_running_loop().time())

    async def _look(self, tenant_id: UUID, tenant: _Tenant) -> None:
        tenant.must_look = False
        self._learn([tenant_id], await self._leases.look([tenant_id], horizon=HORIZON))

    def _learn(self, tenants: Iterable[UUID], found: Iterable[DueSet]) -> None:
        """Remember which sets are due, and set timers for those that soon will be."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for id_ in tenants:
            tenant = self._tenants[id_]
            tenant.due, tenant.soon, tenant.looked = set(), {}, True
            tenant.has_backlog = False
        for each in found:
            tenant = self._tenants[each.tenant_id]
            tenant.has_backlog |= each.backlog
            if each.due_in <= 0:
                tenant.due.add(each.labels)
            else:
                tenant.soon[each.labels] = now + each.due_in + _EARLY
        for id_ in tenants:
            tenant = self._tenants[id_]
            if tenant.timer is not None:
                tenant.timer.cancel()
                tenant.timer = None
            self._set_timer(id_, tenant)

    def _set_timer(self, tenant_id: UUID, tenant: _Tenant) -> None:
        """A pass at the next instant, for the waiting claims."""
        if tenant.timer is None and tenant.soon and tenant.claims:
            self._pass_at(tenant_id, tenant, min(tenant.soon.values()))

    def _pass_at(self, tenant_id: UUID, tenant: _Tenant, at: float) -> None:
        if tenant.timer is not None:
            tenant.timer.cancel()
        tenant.timer = asyncio.get_running_loop().call_at(at, self._timed, tenant_id)

    def _timed(self, tenant_id: UUID) -> None:
        self._tenants[tenant_id].timer = None
        self._start_pass(tenant_id)

    def _servable_sets(self, tenant: _Tenant) -> list[Labels]:
        if not tenant.due:
            return []  # ten thousand may wait, and all are checked once a second
        agents = {claim.labels for claim in tenant.claims.values()}
        return [
            labels for labels in tenant.due if any(is_servable(labels, agent) for agent in agents)
        ]

    def _signal_others(self, tenant_id: UUID, tenant: _Tenant) -> None:
        """Runs are due without a waiting claim here: agents whose claims were lost with another replica should claim
        again. Not for runs that no agent of the tenant can take."""
        now = asyncio.get_running_loop().time()
        tenant.signalled = {
            labels: at
            for labels, at in tenant.signalled.items()
            if labels in tenant.due and now - at < self._signal_again
        }
        served = self._served.get(tenant_id)
        agents = served.agents if served is not None else frozenset()
        new = [
            labels
            for labels in tenant.due
            if labels not in tenant.signalled and any(is_servable(labels, each) for each in agents)
        ]
        if new:
            tenant.signalled |= dict.fromkeys(new, now)
            self._signal(tenant_id, new)

    # waiting claims

    def _answer_impatient(self, tenant: _Tenant, before: Iterable[OpenClaim]) -> None:
        """Claims that do not wait have had their pass."""
        for claim in before:
            if claim.expires is None and tenant.claims.get(claim.request.session) is claim:
                self._expire(claim)

    def _expire(self, claim: OpenClaim) -> None:
        tenant = self._tenants[claim.tenant_id]
        if tenant.claims.get(claim.request.session) is claim:
            self._remove(tenant, claim.request.session)
            self._deliver(claim, [])

    def _forget(self, claim: OpenClaim) -> None:
        """As `_expire`, for an agent that keeps the time itself."""
        tenant = self._tenants[claim.tenant_id]
        if tenant.claims.get(claim.request.session) is claim:
            self._remove(tenant, claim.request.session)

    @staticmethod
    def _remove(tenant: _Tenant, session: UUID) -> None:
        claim = tenant.claims.pop(session, None)
        if claim is not None and claim.expires is not None:
            claim.expires.cancel()


def _any_servable(sets: Iterable[Labels], agent: Labels) -> bool:
    return any(is_servable(labels, agent) for labels in sets)
