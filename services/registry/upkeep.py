"""The registry's upkeep: joins pieces that a client left (queries/join_pieces.sql), and deletes old drafts."""

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
    """Ends registrations that no client will end any more. Replicas may tick at once: rows are locked meanwhile."""

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
        """One round of both; returns the numbers of flows and drafts."""
        return await self.collect() + await self.join()

    async def collect(self) -> int:
        """Delete the drafts of abandoned registrations; returns how many. They were never visible as flows."""
        async with self._database.transaction() as connection:
            collected = await draft_store.collect_drafts(
                connection, untouched_for=self._unfinished_for, limit=_AT_ONCE
            )
        for tenant_id, flow_id, name in collected:
            log.info(
                "unfinished_registration_deleted", tenant_id=tenant_id, flow_id=flow_id, name=name
            )
        return len(collected)

    async def join(self) -> int:
        """Join the pieces of flows that get no more of them; returns the number of flows."""
        async with self._database.transaction() as connection:
            left = await piece_store.flows_with_old_pieces(
                connection, older_than=self._left_after, limit=_AT_ONCE
            )
        return sum([await self._join(tenant_id, flow_id) for tenant_id, flow_id in left])

    async def _join(self, tenant_id: UUID, flow_id: UUID) -> bool:
        """Complete the flow; False when another replica has just done it, or the flow was deleted."""
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
