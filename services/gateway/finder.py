"""Whether a tenant has what an id names. By the tables' own indexes; foreign and unknown ids are the same to it."""

from uuid import UUID

from libs.runtime.database import Database


class Finder:
    """Looks ids up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has_flow_run(self, tenant_id: UUID, flow_run_id: UUID) -> bool:
        """Whether the tenant has this run."""
        found = await self._database.pool.fetchval(
            "SELECT true FROM runs.flow_run WHERE id = $1 AND tenant_id = $2",
            flow_run_id,
            tenant_id,
        )
        return bool(found)

    async def versions(self, tenant_id: UUID, flow: UUID) -> frozenset[UUID]:
        """The version of this id, or the versions of the group of this id; empty where the tenant has neither."""
        rows = await self._database.pool.fetch(
            "SELECT id FROM registry.flow WHERE tenant_id = $1 AND id = $2 "
            "UNION SELECT id FROM registry.flow WHERE tenant_id = $1 AND flow_group_id = $2",
            tenant_id,
            flow,
        )
        return frozenset(row["id"] for row in rows)
