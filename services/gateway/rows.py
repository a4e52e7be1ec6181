"""Small reads that resolvers need: whether runs exist, and a row below a mutation's payload."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from uuid import UUID

from graphql import GraphQLResolveInfo

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import exact_json
from libs.runtime.database import Database
from services.gateway import compat
from services.gateway.reads import Reader, ReadPath

_REMEMBERED = 50_000  # runs and task runs that are known to exist; 10 MB of each at most


class Rows:
    """Answers from the read-only role."""

    def __init__(self, reads: ReadPath, reader: Reader, database: Database) -> None:
        self._reads = reads
        self._reader = reader
        self._database = database
        self._known: OrderedDict[tuple[UUID, UUID], None] = OrderedDict()
        self._known_tasks: OrderedDict[tuple[UUID, UUID, UUID], None] = OrderedDict()

    async def unknown_flow_runs(self, tenant_id: UUID, run_ids: set[UUID]) -> set[UUID]:
        """Which of these are not flow runs of the tenant; known ones are cached, because every log batch asks."""
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

    async def task_runs_of(
        self, tenant_id: UUID, named: set[tuple[UUID, UUID]]
    ) -> set[tuple[UUID, UUID]]:
        """Those of these (flow run, task run) that belong together; cached, because every log batch asks."""
        unknown = [pair for pair in named if (tenant_id, *pair) not in self._known_tasks]
        if unknown:
            rows = await self._database.pool.fetch(
                "SELECT t.flow_run_id, t.id FROM runs.task_run t "
                "JOIN unnest($2::uuid[], $3::uuid[]) AS asked (flow_run_id, id) USING (flow_run_id, id) "
                "WHERE t.tenant_id = $1",
                tenant_id, [run for run, _ in unknown], [task_run for _, task_run in unknown],
            )  # fmt: skip
            found = {(row["flow_run_id"], row["id"]) for row in rows}
            self._known_tasks |= dict.fromkeys((tenant_id, *pair) for pair in found)
            while len(self._known_tasks) > _REMEMBERED:
                self._known_tasks.popitem(last=False)
            return (named - set(unknown)) | found
        return named

    def nested(self, table: str, attribute: str) -> Callable[[Any, GraphQLResolveInfo[Any]], Any]:
        """A resolver for a payload's relation: the row of `table` whose id is in the payload's `attribute`."""

        async def resolve(payload: Any, info: GraphQLResolveInfo[Any]) -> Any:
            row_id = getattr(payload, attribute)
            if row_id is None:
                return None
            plan = self._reads.row_plan(table, info)
            context = info.context
            if not context.identity.rights.unreadable.isdisjoint(plan.root.tables):
                # What was asked for is done; only the row is not shown.
                raise compat.error_of(Refused(code=Code.FORBIDDEN))
            row = await self._reader.row(plan, row_id, context.tenant_id, context.caller)
            return None if row is None else exact_json.loads(row)

        return resolve
