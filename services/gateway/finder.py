"""Whether a tenant has the object of an id. By the tables' own indexes; foreign and unknown ids give the same
result."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.runtime.database import Database


@dataclass(frozen=True, slots=True)
class Found:
    """The object of an id: the tenant's slug, its name, and a sentence about it."""

    slug: str
    name: str
    sentence: str


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
        """The version with this id, or the versions of the group with this id; empty if the tenant has neither."""
        rows = await self._database.pool.fetch(
            "SELECT id FROM registry.flow WHERE tenant_id = $1 AND id = $2 "
            "UNION SELECT id FROM registry.flow WHERE tenant_id = $1 AND flow_group_id = $2",
            tenant_id,
            flow,
        )
        return frozenset(row["id"] for row in rows)

    async def find(self, kind: str, id_: UUID, tenants: Sequence[UUID] | None) -> Found | None:
        """The object of an id of this kind in one of the tenants (None: in any); a flow by its version or its group."""
        row = await self._database.pool.fetchrow(
            f"SELECT t.slug, x.* FROM ({_FIND[kind]}) x JOIN gateway.tenant t ON t.id = x.tenant_id "
            "WHERE $2::uuid[] IS NULL OR x.tenant_id = ANY($2) LIMIT 1",
            id_,
            tenants,
        )
        if row is None:
            return None
        name = row["name"] or str(id_)
        return Found(
            slug=row["slug"], name=name, sentence=f"{row['about']} in the tenant {row['slug']}."
        )


_FIND = {
    "flow": "SELECT tenant_id, name, 'Version ' || version || ' of a flow' AS about, 1 AS rank"
    " FROM registry.flow WHERE id = $1"
    " UNION ALL SELECT tenant_id, name, 'A flow of ' || count(*) OVER () || ' versions', 2"
    " FROM registry.flow WHERE flow_group_id = $1 ORDER BY rank",
    "flow-run": "SELECT tenant_id, name, 'A flow run, ' || state || ',' AS about FROM runs.flow_run WHERE id = $1",
    "task-run": "SELECT tenant_id, name, 'A task run, ' || state || ',' AS about FROM runs.task_run WHERE id = $1",
    "task": "SELECT tenant_id, name, 'A task' AS about FROM registry.task WHERE id = $1",
    "project": "SELECT tenant_id, name, 'A project' AS about FROM registry.project WHERE id = $1",
    "agent": "SELECT tenant_id, name, 'An agent' AS about FROM runs.agent WHERE id = $1",
}
