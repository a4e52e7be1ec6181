"""The registry's upkeep: joins pieces that a client left waiting (queries/join_pieces.sql)."""

from datetime import timedelta
from uuid import UUID

from libs.contracts.registry import FlowPieceRegistered
from libs.runtime.database import Database
from services.registry import store
from services.registry.work import Bench

_AT_ONCE = 50  # flows a tick; the next tick goes on


class Upkeep:
    """Joins what no client will join any more. Replicas may tick at once: a flow's row is held meanwhile."""

    def __init__(self, database: Database, bench: Bench, *, left_after: timedelta) -> None:
        self._database = database
        self._bench = bench
        self._left_after = left_after

    async def tick(self) -> int:
        """Join the pieces of flows that get no more of them; how many flows."""
        async with self._database.transaction() as connection:
            left = await store.flows_with_old_pieces(
                connection, older_than=self._left_after, limit=_AT_ONCE
            )
        return sum([await self._join(tenant_id, flow_id) for tenant_id, flow_id in left])

    async def _join(self, tenant_id: UUID, flow_id: UUID) -> bool:
        """Make the flow whole; False when another replica has just done so, or the flow is gone."""
        async with self._bench.work(tenant_id) as work:
            held = await store.hold_flow(work.connection, tenant_id, flow_id)
            if held is None or not await store.join_pieces(work.connection, tenant_id, flow_id):
                return False
            work.tell(
                FlowPieceRegistered,
                flow_id=flow_id,
                flow_group_id=held.flow_group_id,
                tasks=0,
                edges=0,
                whole=True,
            )
        return True
