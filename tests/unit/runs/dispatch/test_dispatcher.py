"""Waiting claims and timers, without a database."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.contracts.agents import Claim
from services.runs.dispatch.dispatcher import Dispatcher, OpenClaim
from services.runs.dispatch.found import DueSet
from tests.support.eventually import eventually

TENANT, AGENT = UUID(int=1), UUID(int=2)
ANYTHING: frozenset[str] = frozenset()


class FakeLeases:
    """A run comes due `due_in` seconds after the look; what is claimed is noted."""

    def __init__(self, due_in: float) -> None:
        self._due_in = due_in
        self.claimed = asyncio.Event()

    async def look(self, tenants: Sequence[UUID], *, horizon: timedelta) -> list[DueSet]:
        return [DueSet(tenant_id=t, labels=ANYTHING, due_in=self._due_in) for t in tenants]

    async def claim(
        self, tenant: UUID, waiting: Any, agents: Any, sets: Iterable[Any], *, at_most: Any
    ) -> Any:
        self.claimed.set()
        return {}


async def test_a_claim_that_expires_silently_is_forgotten_without_a_word() -> None:
    leases: Any = FakeLeases(due_in=3.0)
    answered: list[UUID] = []
    dispatcher = Dispatcher(
        leases,
        deliver=lambda claim, runs: answered.append(claim.request.claim_id),
        signal=lambda tenant, sets: None,
        signal_pause=lambda tenant, is_paused: None,
        signal_again=timedelta(seconds=15),
        resume_rate=100,
    )
    silent, spoken = UUID(int=3), UUID(int=4)
    for claim_id in (silent, spoken):
        claim = Claim(
            session=claim_id, agent_id=claim_id, claim_id=claim_id, capacity=1, wait=0.01,
            expires_silently=claim_id == silent,
        )  # fmt: skip
        waiting = OpenClaim(tenant_id=TENANT, request=claim, labels=ANYTHING, reply="inbox")
        dispatcher.add(waiting, wait=0.01)
    assert set(dispatcher.waiting_agents()) == {(TENANT, silent), (TENANT, spoken)}

    await eventually(lambda: dispatcher.waiting == 0)

    assert answered == [spoken]
    await dispatcher.stop()


async def test_a_timer_that_fires_a_millisecond_early_misses_nothing() -> None:
    leases: Any = FakeLeases(due_in=3.0)
    dispatcher = Dispatcher(
        leases,
        deliver=lambda claim, runs: None,
        signal=lambda tenant, sets: None,
        signal_pause=lambda tenant, is_paused: None,
        signal_again=timedelta(seconds=15),
        resume_rate=100,
    )
    claim = Claim(session=AGENT, agent_id=AGENT, claim_id=AGENT, capacity=1, wait=60)
    waiting = OpenClaim(tenant_id=TENANT, request=claim, labels=ANYTHING, reply="inbox")
    dispatcher.add(waiting, wait=60)
    tenant = dispatcher._tenants[TENANT]
    assert tenant.pass_ is not None
    await tenant.pass_
    assert not leases.claimed.is_set()

    tenant.soon = {ANYTHING: asyncio.get_running_loop().time() + 0.001}
    dispatcher._timed(TENANT)

    async with asyncio.timeout(1):
        await leases.claimed.wait()
    await dispatcher.stop()
