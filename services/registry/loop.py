"""The registry's upkeep: joins pieces that a client left waiting (queries/join_pieces.sql)."""

from datetime import timedelta

from libs.runtime.database import Database
from services.registry import store

_AT_ONCE = 50  # flows a tick; the next tick goes on


class Upkeep:
    """Joins what no client will join any more. Replicas may tick at once: a flow's row is held meanwhile."""

    def __init__(self, database: Database, *, left_after: timedelta) -> None:
        self._database = database
        self._left_after = left_after

    async def tick(self) -> int:
        """Join the pieces of flows that get no more of them; how many flows."""
        async with self._database.transaction() as connection:
            left = await store.flows_with_old_pieces(
                connection, older_than=self._left_after, limit=_AT_ONCE
            )
        for tenant_id, flow_id in left:
            async with self._database.transaction() as connection:
                await store.hold_flow(connection, tenant_id, flow_id)
                await store.join_pieces(connection, tenant_id, flow_id)
        return len(left)
