"""What the read path is compared with: the same answer by ordinary Strawberry resolvers with data loaders.

Well made of its kind: one statement for each level, plain attributes, loaders that batch; no statement for each row.
"""

from typing import Any, Self
from uuid import UUID

import asyncpg
import strawberry
from strawberry.dataloader import DataLoader
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info


@strawberry.type(name="project")
class Project:
    id: UUID
    name: str


@strawberry.type(name="flow")
class Flow:
    id: UUID
    name: str
    project_id: strawberry.Private[UUID]

    @strawberry.field
    async def project(self, info: Info[Any, None]) -> Project:
        found: Project = await info.context["projects"].load(self.project_id)
        return found


@strawberry.type
class Counted:
    count: int


@strawberry.type
class Aggregate:
    aggregate: Counted


@strawberry.type(name="flow_run")
class FlowRun:
    id: UUID
    name: str
    state: str
    scheduled_start_time: str
    start_time: str | None
    end_time: str | None
    flow_id: strawberry.Private[UUID]

    @strawberry.field
    async def flow(self, info: Info[Any, None]) -> Flow:
        found: Flow = await info.context["flows"].load(self.flow_id)
        return found

    @strawberry.field
    async def task_runs_aggregate(self, info: Info[Any, None]) -> Aggregate:
        return Aggregate(aggregate=Counted(count=await info.context["counts"].load(self.id)))


@strawberry.type
class Query:
    @strawberry.field
    async def flow_run(
        self,
        info: Info[Any, None],
        order_by: strawberry.scalars.JSON | None = None,
        limit: int | None = None,
    ) -> list[FlowRun]:
        rows = await info.context["pool"].fetch(
            "SELECT id, name, state, scheduled_start_time, start_time, end_time, flow_id FROM runs.flow_run"
            " WHERE tenant_id = $1 ORDER BY scheduled_start_time DESC LIMIT $2",
            info.context["tenant"], limit,
        )  # fmt: skip
        return [
            FlowRun(
                id=row["id"], name=row["name"], state=row["state"], flow_id=row["flow_id"],
                scheduled_start_time=row["scheduled_start_time"].isoformat(),
                start_time=row["start_time"] and row["start_time"].isoformat(),
                end_time=row["end_time"] and row["end_time"].isoformat(),
            )
            for row in rows
        ]  # fmt: skip


class ResolverSchema:
    """The schema, and a pool for its resolvers."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._schema = strawberry.Schema(
            query=Query, config=StrawberryConfig(auto_camel_case=False)
        )

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Open the pool."""
        return cls(await asyncpg.create_pool(url, min_size=2, max_size=4))

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    async def run(self, text: str, tenant: UUID) -> None:
        """Answer, with fresh loaders as every request has."""
        # The enum `desc` of the real schema is a string here; everything else is as clients write it.
        document = text.replace("{scheduled_start_time: desc}", '"newest first"')
        context = {"pool": self._pool, "tenant": tenant} | self._loaders(tenant)
        result = await self._schema.execute(document, context_value=context)
        if result.errors:
            raise result.errors[0]

    def _loaders(self, tenant: UUID) -> dict[str, Any]:
        async def flows(ids: list[UUID]) -> list[Flow]:
            rows = await self._pool.fetch(
                "SELECT id, name, project_id FROM registry.flow WHERE tenant_id = $1 AND id = ANY ($2)",
                tenant,
                ids,
            )
            found = {row["id"]: Flow(**row) for row in rows}
            return [found[one] for one in ids]

        async def projects(ids: list[UUID]) -> list[Project]:
            rows = await self._pool.fetch(
                "SELECT id, name FROM registry.project WHERE tenant_id = $1 AND id = ANY ($2)",
                tenant,
                ids,
            )
            found = {row["id"]: Project(**row) for row in rows}
            return [found[one] for one in ids]

        async def counts(ids: list[UUID]) -> list[int]:
            rows = await self._pool.fetch(
                "SELECT flow_run_id, count(*) FROM runs.task_run WHERE tenant_id = $1 AND flow_run_id = ANY ($2)"
                " GROUP BY 1",
                tenant, ids,
            )  # fmt: skip
            found = {row["flow_run_id"]: int(row["count"]) for row in rows}
            return [found.get(one, 0) for one in ids]

        return {
            "flows": DataLoader(load_fn=flows),
            "projects": DataLoader(load_fn=projects),
            "counts": DataLoader(load_fn=counts),
        }
