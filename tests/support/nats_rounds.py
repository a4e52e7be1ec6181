"""A cluster of NATS loses each of its nodes in turn, under load, and every service comes back by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from libs.contracts.subjects import FLOW_RUN_STATE_CHANGED
from tests.faults.ledger_load import Load
from tests.support.eventually import eventually
from tests.support.nats_cluster import NatsCluster, Node

CLIENTS = 3
LOOK = 0.2  # seconds between two looks: the cores belong to what is waited for

Unready = Callable[[], Awaitable[list[str]]]
"""Why the services are not ready, all of them; empty when they are."""


@dataclass(slots=True, kw_only=True)
class Rounds:
    """The kills; `pool` is the database's owner. `waits` are the seconds from each to when all was well again."""

    cluster: NatsCluster
    load: Load
    pool: "asyncpg.Pool[asyncpg.Record]"
    unready: Unready
    within: float
    waits: list[float] = field(default_factory=list)

    async def go(self, rounds: int) -> None:
        """Lose every node so many times, while clients drive runs; the clients end their last runs, and all is told."""
        stop = asyncio.Event()
        clients = [asyncio.create_task(self.load.drive(until=stop)) for _ in range(CLIENTS)]
        try:
            for _ in range(rounds):
                for node in self.cluster.nodes:
                    await self._lose(node)
        finally:
            stop.set()
        await asyncio.gather(*clients)
        await eventually(self._published, timeout=60.0, pause=LOOK)

    async def _published(self) -> bool:
        return not await self.pool.fetchval("SELECT EXISTS (SELECT FROM runs.outbox)")

    async def _lose(self, node: Node) -> None:
        now = asyncio.get_running_loop().time
        await self._all_well()
        await node.kill()
        began = now()
        await self._all_well(until=began + self.within)
        self.waits.append(now() - began)
        await node.start()
        await node.until_up()

    async def _all_well(self, *, until: float | None = None) -> None:
        """A run goes from creation to Success and is told of, and no service has anything against it."""
        before = set(self.load.finished)

        async def well() -> bool:
            assert await self.unready() == []
            fresh = self.load.finished - before
            return bool(fresh) and not await self._untold(fresh)

        timeout = 60.0 if until is None else until - asyncio.get_running_loop().time()
        await eventually(well, timeout=timeout, pause=LOOK)

    async def _untold(self, runs: set[UUID]) -> bool:
        """Whether the stream of events has none of these runs' yet, for want of a leader."""
        subjects = [FLOW_RUN_STATE_CHANGED.at(flow_run_id=run) for run in runs]
        return bool(
            await self.pool.fetchval(
                "SELECT EXISTS (SELECT FROM runs.outbox WHERE subject = ANY ($1))", subjects
            )
        )
