"""Small reads that resolvers need: whether runs exist, and a row below a mutation's payload."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from uuid import UUID

from graphql import GraphQLResolveInfo

from libs.runtime import exact_json
from libs.runtime.database import Database
from services.gateway.reads import Reader, ReadPath

_REMEMBERED = 50_000  # runs that are known to exist; 10 MB at most


class Rows:
    """Answers from the read-only role."""

    def __init__(self, reads: ReadPath, reader: Reader, database: Database) -> None:
        self._reads = reads
        self._reader = reader
        self._database = database
        self._known: OrderedDict[tuple[UUID, UUID], None] = OrderedDict()

    async def unknown_flow_runs(self, tenant_id: UUID, run_ids: set[UUID]) -> set[UUID]:
        """Which of these are no flow runs of the tenant; those that are get remembered, as every log batch asks."""
        unknown = {run_id for run_id in run_ids if (tenant_id, run_id) not in self._known}
        if unknown:
            rows = await self._database.pool.fetch(
                "SELECT id FROM runs.flow_run WHERE tenant_id = $1 AND id = ANY($2::uuid[])",
                tenant_id, [*unknown],
            )  # fmt: skip
            for row in rows:
                self._known[(tenant_id, row["id"])] = None
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            unknown -= {row["id"] for row in rows}
        return unknown

    async def flow_runs_of(self, tenant_id: UUID, task_run_ids: set[UUID]) -> dict[UUID, UUID]:
        """The flow runs of task runs of the tenant, by the task run."""
        rows = await self._database.pool.fetch(
            "SELECT id, flow_run_id FROM runs.task_run WHERE tenant_id = $1 AND id = ANY($2::uuid[])",
            tenant_id, [*task_run_ids],
        )  # fmt: skip
        return {row["id"]: row["flow_run_id"] for row in rows}

    def nested(self, table: str, attribute: str) -> Callable[[Any, GraphQLResolveInfo[Any]], Any]:
        """A resolver for a payload's relation: the row of `table` whose id the payload holds in `attribute`."""

        async def resolve(payload: Any, info: GraphQLResolveInfo[Any]) -> Any:
            row_id = getattr(payload, attribute)
            if row_id is None:
                return None
            plan = self._reads.row_plan(table, info)
            context = info.context
            row = await self._reader.row(plan, row_id, context.tenant_id, context.caller)
            return None if row is None else exact_json.loads(row)

        return resolve
