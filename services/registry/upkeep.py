"""The registry's upkeep: joins pieces that a client left waiting (queries/join_pieces.sql), and collects drafts."""

from datetime import timedelta
from uuid import UUID

from libs.contracts.registry import FlowPieceRegistered
from libs.runtime import log as logs
from libs.runtime.database import Database
from libs.schema.registry import SCHEMA
from services.registry import draft_store, piece_store
from services.registry.unit_of_work import UnitsOfWork

log = logs.get(SCHEMA)
_AT_ONCE = 50  # flows a tick; the next tick goes on


class Upkeep:
    """Ends what no client will end any more. Replicas may tick at once: a row is held meanwhile."""

    def __init__(
        self,
        database: Database,
        units: UnitsOfWork,
        *,
        left_after: timedelta,
        unfinished_for: timedelta,
    ) -> None:
        self._database = database
        self._units = units
        self._left_after = left_after
        self._unfinished_for = unfinished_for

    async def tick(self) -> int:
        """One round of both; how many flows and drafts."""
        return await self.collect() + await self.join()

    async def collect(self) -> int:
        """Delete the drafts of registrations that were given up; how many. Nobody ever saw a flow of theirs."""
        async with self._database.transaction() as connection:
            collected = await draft_store.collect_drafts(
                connection, untouched_for=self._unfinished_for, limit=_AT_ONCE
            )
        for tenant_id, flow_id, name in collected:
            log.info("draft_collected", tenant_id=tenant_id, flow_id=flow_id, name=name)
        return len(collected)

    async def join(self) -> int:
        """Join the pieces of whole flows that get no more of them; how many flows."""
        async with self._database.transaction() as connection:
            left = await piece_store.flows_with_old_pieces(
                connection, older_than=self._left_after, limit=_AT_ONCE
            )
        return sum([await self._join(tenant_id, flow_id) for tenant_id, flow_id in left])

    async def _join(self, tenant_id: UUID, flow_id: UUID) -> bool:
        """Make the flow whole; False when another replica has just done so, or the flow is gone."""
        async with self._units.begin(tenant_id) as work:
            held = await piece_store.hold_flow(work.connection, tenant_id, flow_id)
            if held is None or not await piece_store.join_pieces(
                work.connection, tenant_id, flow_id
            ):
                return False
            work.record(
                FlowPieceRegistered,
                flow_id=flow_id,
                flow_group_id=held.flow_group_id,
                tasks=0,
                edges=0,
                whole=True,
            )
        return True
