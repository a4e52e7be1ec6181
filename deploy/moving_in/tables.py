"""How each table of the peer is read, and what its rows become.

A column that an old schema lacks is read as its default. JSON `null` and SQL NULL are the same there, and read as NULL.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

Columns = Mapping[str, str]
"""Name to type, or to type and default: "int 0"."""

_STATES_COLUMNS = frozenset({"state", "state_timestamp", "serialized_state"})

_OF_THE_ROW: Mapping[str, frozenset[str]] = defaultdict(
    frozenset,
    flow=frozenset({"parameters"}),
    task=frozenset({"slug", "max_retries"}),
    flow_run=_STATES_COLUMNS | {"name", "times_resurrected"},
    task_run=_STATES_COLUMNS,
)
"""What is put as an expression of the row alone, so that it can be compared."""

_ROW = {"id": "uuid", "created": "timestamptz now()", "updated": "timestamptz now()"}
_RUN = {
    "version": "int 0", "heartbeat": "timestamptz", "start_time": "timestamptz", "end_time": "timestamptz",
    "state": "text", "state_timestamp": "timestamptz", "state_message": "text", "state_result": "jsonb",
    "state_start_time": "timestamptz", "serialized_state": "jsonb",
}  # fmt: skip
_STATE = _ROW | {
    "timestamp": "timestamptz", "state": "text", "message": "text", "result": "jsonb", "start_time": "timestamptz",
    "serialized_state": "jsonb '{}'", "version": "int",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One table: the columns that are read, and `put`, the expressions of those that are not copies.

    `s` is the row that was read, and `source` joins what the expressions need. `run` is the column by which the rows of
    a run are found.
    """

    name: str
    target: str
    columns: Columns
    put: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    run: str | None = None
    upsert: bool = True

    @property
    def compared(self) -> Mapping[str, str]:
        """The columns that must be equal on both sides, with their expressions of the row that was read."""
        return {
            name: self.put.get(name, f's."{name}"')
            for name in self.columns
            if name != "tenant_id" and (name not in self.put or name in _OF_THE_ROW[self.name])
        }

    def select(self, present: frozenset[str]) -> str:
        """The columns as the peer has them, of its row `t`."""
        parts = []
        for name, column in self.columns.items():
            kind, _, default = column.partition(" ")
            if name not in present:
                value = f"({default or 'NULL'})::{kind}"
            elif kind == "jsonb":
                value = f"nullif(t.{name}::jsonb, 'null'::jsonb)"
                value = f"coalesce({value}, {default}::jsonb)" if default else value
            else:
                value = f"t.{name}::{kind}"
            parts.append(f'{value} AS "{name}"')
        return ", ".join(parts)

    def stage(self) -> str:
        """The statement that makes the table where rows wait, gone with the connection."""
        columns = ", ".join(f'"{n}" {kind.partition(" ")[0]}' for n, kind in self.columns.items())
        return f"CREATE TEMP TABLE stage_{self.name} ({columns})"

    def insert(self) -> str:
        """The statement that puts the staged rows where they belong."""
        values = {name: f's."{name}"' for name in self.columns if name != "tenant_id"} | dict(
            self.put
        )
        names = ", ".join(f'"{n}"' for n in values)
        sql = f"INSERT INTO {self.target} ({names}) SELECT {', '.join(values.values())} FROM stage_{self.name} s "
        sql += self.source
        if self.run is not None:
            return sql
        if not self.upsert:
            return sql + " ON CONFLICT DO NOTHING"
        changes = ", ".join(f'"{n}" = EXCLUDED."{n}"' for n in values if n != "id")
        return sql + f" ON CONFLICT (id) DO UPDATE SET {changes}"


REGISTRY: tuple[Moved, ...] = (
    Moved(
        name="tenant", target="gateway.tenant",
        columns=_ROW | {"name": "text", "slug": "text", "info": "jsonb", "settings": "jsonb '{}'"},
        put={"slug": """CASE WHEN EXISTS (SELECT FROM gateway.tenant o WHERE o.slug = s.slug AND o.id <> s.id)
            THEN s.slug || '-imported' ELSE s.slug END"""},
    ),
    Moved(
        name="project", target="registry.project",
        columns=_ROW | {"tenant_id": "uuid", "name": "text", "description": "text"},
        put={"tenant_id": "coalesce(s.tenant_id, (SELECT id FROM stage_tenant ORDER BY created, id LIMIT 1))"},
    ),
    Moved(
        name="flow_group", target="registry.flow_group",
        columns=_ROW | {
            "tenant_id": "uuid", "name": "text", "description": "text", "labels": "jsonb", "schedule": "jsonb",
            "settings": "jsonb '{}'", "default_parameters": "jsonb '{}'", "run_config": "jsonb",
        },
        put={
            "tenant_id": "m.tenant_id", "name": "m.name",
            "last_version": "coalesce((SELECT max(n.version) FROM numbered n WHERE n.flow_group_id = s.id), 0)",
        },
        source="JOIN moving_in.flow_group m ON m.id = s.id AND m.keeper = s.id",
    ),
    Moved(
        name="flow", target="registry.flow",
        columns=_ROW | {
            "project_id": "uuid", "flow_group_id": "uuid", "name": "text", "version": "int",
            "version_group_id": "text", "description": "text", "environment": "jsonb", "run_config": "jsonb",
            "storage": "jsonb", "parameters": "jsonb '[]'", "core_version": "text", "serialized_flow": "jsonb",
            "schedule": "jsonb", "archived": "bool false", "is_schedule_active": "bool false",
        },
        put={
            "tenant_id": "p.tenant_id", "flow_group_id": "n.flow_group_id", "version": "n.version",
            "version_group_id": "coalesce(s.version_group_id, g.name)", "settings": "g.settings",
            "parameters": "CASE jsonb_typeof(s.parameters) WHEN 'array' THEN s.parameters ELSE '[]' END",
            "is_schedule_active": "false", "archived_at": "CASE WHEN s.archived THEN s.updated END",
        },
        source="""JOIN numbered n ON n.id = s.id JOIN registry.flow_group g ON g.id = n.flow_group_id
            JOIN registry.project p ON p.id = s.project_id""",
    ),
    Moved(
        name="task", target="registry.task",
        columns=_ROW | {
            "flow_id": "uuid", "name": "text", "slug": "text", "description": "text", "type": "text",
            "max_retries": "int", "retry_delay": "interval", "trigger": "text", "mapped": "bool false",
            "auto_generated": "bool false", "cache_key": "text", "is_reference_task": "bool false",
            "tags": "jsonb '[]'",
        },
        put={
            "tenant_id": "f.tenant_id", "slug": "coalesce(s.slug, s.id::text)",
            "max_retries": "coalesce(s.max_retries, 0)",
            "mapped": "s.mapped OR EXISTS (SELECT FROM stage_edge e WHERE e.downstream_task_id = s.id AND e.mapped)",
            "is_root_task": "NOT EXISTS (SELECT FROM stage_edge e WHERE e.downstream_task_id = s.id)",
            "is_terminal_task": "NOT EXISTS (SELECT FROM stage_edge e WHERE e.upstream_task_id = s.id)",
            "is_reference_task": """s.is_reference_task OR CASE
                WHEN jsonb_array_length(CASE jsonb_typeof(f.serialized_flow->'reference_tasks')
                    WHEN 'array' THEN f.serialized_flow->'reference_tasks' ELSE '[]' END) > 0
                THEN f.serialized_flow->'reference_tasks' @> jsonb_build_array(jsonb_build_object('slug', s.slug))
                ELSE NOT EXISTS (SELECT FROM stage_edge e WHERE e.upstream_task_id = s.id) END""",
        },
        source="JOIN registry.flow f ON f.id = s.flow_id", upsert=False,
    ),
    Moved(
        name="edge", target="registry.edge",
        columns=_ROW | {
            "flow_id": "uuid", "upstream_task_id": "uuid", "downstream_task_id": "uuid", "key": "text",
            "mapped": "bool false",
        },
        put={"tenant_id": "f.tenant_id"},
        source="JOIN registry.flow f ON f.id = s.flow_id", upsert=False,
    ),
    Moved(
        name="agent_config", target="runs.agent_config",
        columns=_ROW | {"tenant_id": "uuid", "name": "text", "settings": "jsonb '{}'"},
        put={"tenant_id": "s.tenant_id"},
    ),
    Moved(
        name="agent", target="runs.agent",
        columns=_ROW | {
            "tenant_id": "uuid", "agent_config_id": "uuid", "name": "text", "type": "text", "core_version": "text",
            "labels": "jsonb '[]'", "last_queried": "timestamptz",
        },
        put={
            "tenant_id": "s.tenant_id", "type": "coalesce(s.type, 'Agent')",
            "last_queried": """(SELECT max(o.last_queried) FROM stage_agent o
                JOIN moving_in.agent b ON b.id = o.id WHERE b.keeper = s.id)""",
        },
        source="JOIN moving_in.agent m ON m.id = s.id AND m.keeper = s.id",
    ),
    Moved(
        name="cloud_hook", target="gateway.cloud_hook",
        columns=_ROW | {
            "tenant_id": "uuid", "name": "text", "states": "jsonb", "type": "text", "config": "jsonb '{}'",
            "active": "bool true", "version_group_id": "text",
        },
        put={"tenant_id": "s.tenant_id", "active": "false"}, source="JOIN gateway.tenant t ON t.id = s.tenant_id",
    ),
    Moved(
        name="message", target="gateway.message",
        columns=_ROW | {
            "tenant_id": "uuid", "read": "bool false", "type": "text", "text": "text", "content": "jsonb '{}'",
        },
        put={"tenant_id": "s.tenant_id"}, source="JOIN gateway.tenant t ON t.id = s.tenant_id",
    ),
)  # fmt: skip
"""What is small and read whole, in the order in which it is put."""

_NEVER_STARTED = (
    """'{"type": "Cancelled", "message": "It never got a state before it was imported."}'"""
)

RUNS: tuple[Moved, ...] = (
    Moved(
        name="flow_run", target="runs.flow_run", run="id",
        columns=_ROW | _RUN | {
            "flow_id": "uuid", "agent_id": "uuid", "name": "text", "parameters": "jsonb '{}'", "labels": "jsonb '[]'",
            "run_config": "jsonb", "context": "jsonb", "scheduled_start_time": "timestamptz now()",
            "auto_scheduled": "bool false", "times_resurrected": "int", "idempotency_key": "text",
        },
        put={
            "tenant_id": "f.tenant_id", "flow_group_id": "f.flow_group_id",
            "agent_id": "(SELECT m.keeper FROM moving_in.agent m WHERE m.id = s.agent_id)",
            "name": "coalesce(s.name, left(s.id::text, 8))", "times_resurrected": "coalesce(s.times_resurrected, 0)",
            "idempotency_key": """CASE WHEN NOT EXISTS (SELECT FROM moving_in.left_out l WHERE l.id = s.id
                AND l.source = 'flow_run.idempotency_key') THEN s.idempotency_key END""",
            "state": "coalesce(s.state, 'Cancelled')", "state_timestamp": "coalesce(s.state_timestamp, s.updated)",
            "serialized_state": f"coalesce(s.serialized_state, {_NEVER_STARTED})",
        },
        source="JOIN registry.flow f ON f.id = s.flow_id",
    ),
    Moved(
        name="task_run", target="runs.task_run", run="flow_run_id",
        columns=_ROW | _RUN | {
            "flow_run_id": "uuid", "task_id": "uuid", "map_index": "int -1", "name": "text", "cache_key": "text",
        },
        put={
            "tenant_id": "r.tenant_id", "state": "coalesce(s.state, 'Pending')",
            "state_timestamp": "coalesce(s.state_timestamp, s.updated)",
            "serialized_state": """coalesce(s.serialized_state, '{"type": "Pending"}')""",
            "retries": """(SELECT count(*) FROM stage_task_run_state h
                WHERE h.task_run_id = s.id AND h.state = 'Retrying')""",
        },
        source="JOIN runs.flow_run r ON r.id = s.flow_run_id",
    ),
    Moved(
        name="task_run_artifact", target="runs.task_run_artifact", run="task_run_id",
        columns=_ROW | {"task_run_id": "uuid", "kind": "text", "data": "jsonb '{}'"},
        put={"tenant_id": "r.tenant_id"}, source="JOIN runs.task_run r ON r.id = s.task_run_id",
    ),
    Moved(
        name="flow_run_state", target="runs.flow_run_state", run="flow_run_id",
        columns=_STATE | {"flow_run_id": "uuid"},
        put={
            "tenant_id": "r.tenant_id",
            "version": "coalesce(s.version, row_number() OVER (PARTITION BY s.flow_run_id ORDER BY s.timestamp, s.id))",
        },
        source="JOIN runs.flow_run r ON r.id = s.flow_run_id",
    ),
    Moved(
        name="task_run_state", target="runs.task_run_state", run="task_run_id",
        columns=_STATE | {"task_run_id": "uuid"},
        put={
            "tenant_id": "r.tenant_id",
            "version": "coalesce(s.version, row_number() OVER (PARTITION BY s.task_run_id ORDER BY s.timestamp, s.id))",
        },
        source="JOIN runs.task_run r ON r.id = s.task_run_id",
    ),
    Moved(
        name="log", target="runs.log", run="flow_run_id",
        columns=_ROW | {
            "flow_run_id": "uuid", "task_run_id": "uuid", "timestamp": "timestamptz", "name": "text", "level": "text",
            "message": "text", "info": "jsonb", "is_loaded_from_archive": "bool",
        },
        put={
            "tenant_id": "r.tenant_id",
            "sequence": "row_number() OVER (PARTITION BY s.flow_run_id ORDER BY s.timestamp, s.created, s.id)",
        },
        source="JOIN runs.flow_run r ON r.id = s.flow_run_id",
    ),
)  # fmt: skip
"""What belongs to a run and moves with it."""

FINISHED = (
    "Success", "Failed", "Cancelled", "Cached", "Skipped", "Mapped", "TriggerFailed", "TimedOut", "Looped", "Finished",
    "ValidationFailed", "ClientFailed",
)  # fmt: skip
"""The states after which a run does not go on by itself. Runs in any other move with `finish`."""
