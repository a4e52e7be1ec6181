"""The readable tables, columns and relationships, derived from `libs.schema` and one declaration.

The tables themselves say which columns GraphQL shows (`libs.schema.base.Shown`); a column that says nothing is private,
and so is a table of none. The declaration below is the rest: which columns are computed, and how tables are related.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sqlalchemy import BigInteger, Boolean, Integer, String, TypeDecorator, Uuid
from sqlalchemy import Column as SQLColumn
from sqlalchemy import Table as SQLTable
from sqlalchemy.dialects.postgresql import INTERVAL, JSONB, TIMESTAMP

from libs.schema import metadata, shown_columns
from services.gateway.cloud_hooks import MASKED_CONFIG
from services.gateway.reads.people import ACTOR_OF_THE_TRAIL, name_of
from services.gateway.reads.waiting import WHY_A_TASK_RUN_WAITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as GraphQL sees it. `sql` is an expression in which `{t}` is the table's alias.

    A column that is the later of the stored time and another time also has the condition that the other time is
    `{after}` (`later_of`): comparing the expression itself would evaluate it for every row of the table.
    """

    name: str
    scalar: str
    nullable: bool
    sql: str
    later_of: str | None = None

    def of(self, alias: str) -> str:
        """The expression, for the table under this alias."""
        return self.sql.replace("{t}", alias)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """The rows of `target` whose `remote` column equals our `local` one; `many` unless `remote` is its key."""

    name: str
    target: str
    local: str
    remote: str
    many: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as GraphQL sees it.

    `source` goes into FROM. `tenant` is the column that must equal the reader's tenant. `key` is None when there is no
    `_by_pk` field. `tie_breaker` orders rows that are equal in the client's ordering.
    """

    name: str
    source: str
    tenant: str
    key: str | None
    columns: Mapping[str, Column]
    relationships: Mapping[str, Relationship]
    tie_breaker: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every table that can be read, by its GraphQL name."""

    tables: Mapping[str, Table]

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]


TRAVERSAL = "utility_traversal"
"""The rows of `utility_downstream_tasks` and `utility_upstream_tasks`; its source is in the compiler."""

# The declaration -----------------------------------------------------------------------------------------------------

# Why no runs of a flow's schedule are planned: the scheduler's reason, or, if the schedule is off, the required
# parameters that prevented its start, or that it has no clocks. The flow's own defaults do not count then, as in
# Prefect Server.
_WHY_NOTHING_IS_PLANNED = """COALESCE(
    (SELECT s.reason FROM scheduler.schedule s WHERE s.flow_id = {t}.id AND s.tenant_id = $1 AND s.active),
    (SELECT 'schedule_off: parameters_missing: ' || string_agg(DISTINCT p ->> 'name', ', ' ORDER BY p ->> 'name')
     FROM registry.flow_group g
     CROSS JOIN LATERAL jsonb_array_elements(
         CASE jsonb_typeof({t}.parameters) WHEN 'array' THEN {t}.parameters END
     ) p
     CROSS JOIN LATERAL (
         SELECT COALESCE(nullif(g.schedule, 'null'), nullif({t}.schedule, 'null')) -> 'clocks' AS clocks
     ) followed
     CROSS JOIN LATERAL jsonb_array_elements(
         CASE jsonb_typeof(followed.clocks) WHEN 'array' THEN followed.clocks END
     ) c
     WHERE g.id = {t}.flow_group_id AND g.tenant_id = $1 AND NOT {t}.is_schedule_active AND NOT {t}.archived
         AND p -> 'required' = 'true' AND NOT g.default_parameters ? (p ->> 'name')
         AND NOT COALESCE(nullif(c -> 'parameter_defaults', 'null'), jsonb_build_object()) ? (p ->> 'name')),
    (SELECT 'schedule_off: no_clocks' FROM registry.flow_group g
     WHERE g.id = {t}.flow_group_id AND g.tenant_id = $1 AND NOT {t}.is_schedule_active AND NOT {t}.archived
         AND COALESCE(nullif(g.schedule, 'null'), nullif({t}.schedule, 'null')) -> 'clocks' = '[]')
)"""


def _name(name: str, sql: str) -> dict[str, Column]:
    return {name: Column(name=name, scalar="String", nullable=True, sql=sql)}


_COMPUTED = {
    "audit_log": _name("actor_name", ACTOR_OF_THE_TRAIL),
    # Secrets in it are hidden, from conditions too.
    "cloud_hook": {
        "config": Column(name="config", scalar="jsonb", nullable=False, sql=MASKED_CONFIG)
    },
    "flow_run_state": _name("actor_name", name_of("actor")),
    "task_run_state": _name("actor_name", name_of("actor")),
    "flow": {
        **_name("created_by_name", name_of("created_by")),
        # Archiving pauses the schedule (the founding document); the registry keeps the flag, to restore it later.
        "is_schedule_active": Column(
            name="is_schedule_active", scalar="Boolean", nullable=False,
            sql="({t}.is_schedule_active AND NOT {t}.archived)",
        ),
        "late_reason": Column(
            name="late_reason", scalar="String", nullable=True, sql=_WHY_NOTHING_IS_PLANNED,
        ),
    },
    "flow_run": {
        **_name("created_by_name", name_of("created_by")),
        # Pings are stored separately from the ledger (ARCHITECTURE.md); clients see the newest sign of life.
        "heartbeat": Column(
            name="heartbeat", scalar="timestamptz", nullable=True,
            sql="GREATEST({t}.heartbeat, (SELECT s.at FROM heartbeat.last_seen s"
                " WHERE s.flow_run_id = {t}.id AND s.tenant_id = $1))",
            later_of="{t}.id IN (SELECT s.flow_run_id FROM heartbeat.last_seen s"
                     " WHERE s.tenant_id = $1 AND s.at {after})",
        ),
        # Removed in Prefect Server, still selected by the command line of Core <= 0.12.
        "duration": Column(
            name="duration", scalar="interval", nullable=True, sql="({t}.end_time - {t}.start_time)",
        ),
        # The number of log lines that the cap dropped: shows that the log is not complete.
        "log_lines_dropped": Column(
            name="log_lines_dropped", scalar="bigint", nullable=False,
            sql="COALESCE((SELECT u.dropped FROM runs.log_usage u"
                " WHERE u.flow_run_id = {t}.id AND u.tenant_id = $1), 0)",
        ),
    },
    "task_run": {
        "duration": Column(
            name="duration", scalar="interval", nullable=True, sql="({t}.end_time - {t}.start_time)",
        ),
        "waiting_reason": Column(
            name="waiting_reason", scalar="String", nullable=True, sql=WHY_A_TASK_RUN_WAITS,
        ),
        "heartbeat": Column(
            name="heartbeat", scalar="timestamptz", nullable=True,
            sql="GREATEST({t}.heartbeat, (SELECT s.at FROM heartbeat.task_last_seen s"
                " WHERE s.task_run_id = {t}.id AND s.tenant_id = $1))",
            later_of="{t}.id IN (SELECT s.task_run_id FROM heartbeat.task_last_seen s"
                     " WHERE s.tenant_id = $1 AND s.at {after})",
        ),
    },
}  # fmt: skip

_ONE = {  # table: {relationship: (target, our column)}
    "project": {"tenant": ("tenant", "tenant_id")},
    "flow_group": {"tenant": ("tenant", "tenant_id")},
    "flow": {
        "flow_group": ("flow_group", "flow_group_id"),
        "project": ("project", "project_id"),
        "tenant": ("tenant", "tenant_id"),
    },
    "task": {"flow": ("flow", "flow_id")},
    "edge": {
        "flow": ("flow", "flow_id"),
        "upstream_task": ("task", "upstream_task_id"),
        "downstream_task": ("task", "downstream_task_id"),
    },
    "flow_run": {
        "flow": ("flow", "flow_id"),
        "agent": ("agent", "agent_id"),
        "tenant": ("tenant", "tenant_id"),
    },
    "flow_run_state": {"flow_run": ("flow_run", "flow_run_id")},
    "task_run": {
        "flow_run": ("flow_run", "flow_run_id"),
        "task": ("task", "task_id"),
        "tenant": ("tenant", "tenant_id"),
    },
    "task_run_state": {"task_run": ("task_run", "task_run_id")},
    "task_run_artifact": {"task_run": ("task_run", "task_run_id")},
    "agent": {"agent_config": ("agent_config", "agent_config_id")},
    "hook": {"action": ("action", "action_id")},
    "delivery": {
        "action": ("action", "action_id"),
        "hook": ("hook", "hook_id"),
        "cloud_hook": ("cloud_hook", "cloud_hook_id"),
    },
    "delivery_attempt": {"delivery": ("delivery", "delivery_id")},
    TRAVERSAL: {"task": ("task", "task_id")},
}

_MANY = {  # table: {relationship: (target, its column)}
    "tenant": {
        "flow_groups": ("flow_group", "tenant_id"),
        "flows": ("flow", "tenant_id"),
        "projects": ("project", "tenant_id"),
    },
    "project": {"flows": ("flow", "project_id")},
    "flow_group": {"flows": ("flow", "flow_group_id")},
    "flow": {
        "edges": ("edge", "flow_id"),
        "flow_runs": ("flow_run", "flow_id"),
        "tasks": ("task", "flow_id"),
    },
    "task": {
        "upstream_edges": ("edge", "downstream_task_id"),
        "downstream_edges": ("edge", "upstream_task_id"),
        "task_runs": ("task_run", "task_id"),
    },
    "flow_run": {
        "task_runs": ("task_run", "flow_run_id"),
        "states": ("flow_run_state", "flow_run_id"),
        "logs": ("log", "flow_run_id"),
    },
    "task_run": {
        "states": ("task_run_state", "task_run_id"),
        "logs": ("log", "task_run_id"),
    },
    "agent": {"flow_runs": ("flow_run", "agent_id")},
    "agent_config": {"agents": ("agent", "agent_config_id")},
    "action": {"hooks": ("hook", "action_id")},
    "delivery": {"tries": ("delivery_attempt", "delivery_id")},
    "flow_sla_config": {"flow_groups": ("flow_group_sla", "flow_sla_config_id")},
}

_WITHOUT_KEY = frozenset({"log", TRAVERSAL})
_TIE_BREAKERS = {"log": ("timestamp", "sequence")}

# ---------------------------------------------------------------------------------------------------------------------


def build_catalog() -> Catalog:
    """Derive the catalog; raises when the declaration names what the tables do not have."""
    tables = [_table(table) for table in metadata.sorted_tables if shown_columns(table)]
    tables += [_task_concurrency_limit(), _traversal()]
    by_name = {table.name: table for table in tables}
    related = {
        name: replace(table, relationships=_relationships(table, by_name))
        for name, table in by_name.items()
    }
    return Catalog(MappingProxyType(related))


def _table(table: SQLTable) -> Table:
    shown = shown_columns(table)
    columns = {column.name: _column(column) for column in table.columns if column.name in shown}
    columns |= _COMPUTED.get(table.name, {})
    return Table(
        name=table.name,
        source=f'"{table.schema}"."{table.name}"',
        tenant="id" if table.name == "tenant" else "tenant_id",
        key=None if table.name in _WITHOUT_KEY else "id",
        columns=MappingProxyType(columns),
        relationships=MappingProxyType({}),
        tie_breaker=_TIE_BREAKERS.get(table.name),
    )


def _column(column: "SQLColumn[object]") -> Column:
    return Column(
        name=column.name,
        scalar=_scalar(column),
        nullable=bool(column.nullable),
        sql=f'{{t}}."{column.name}"',
    )


def _scalar(column: "SQLColumn[object]") -> str:
    # SQLModel wraps plain strings in a decorator of its own.
    stored = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    for kind, scalar in (
        (Uuid, "uuid"),
        (TIMESTAMP, "timestamptz"),
        (JSONB, "jsonb"),
        (INTERVAL, "interval"),
        (Boolean, "Boolean"),
        (BigInteger, "bigint"),
        (Integer, "Int"),
        (String, "String"),
    ):
        if isinstance(stored, kind):
            return scalar
    msg = f"{column.table.name}.{column.name} has a type that GraphQL cannot show; do not declare it as Shown"
    raise ValueError(msg)


def _relationships(table: Table, tables: Mapping[str, Table]) -> Mapping[str, Relationship]:
    found = {}
    for name, (target, column) in _ONE.get(table.name, {}).items():
        found[name] = Relationship(name=name, target=target, local=column, remote="id", many=False)
    for name, (target, column) in _MANY.get(table.name, {}).items():
        found[name] = Relationship(name=name, target=target, local="id", remote=column, many=True)
    for relationship in found.values():
        # Fails here, at start, rather than in a client's query.
        _ = (
            table.columns[relationship.local],
            tables[relationship.target].columns[relationship.remote],
        )
    clash = found.keys() & table.columns.keys()
    if clash:
        msg = f"{table.name} has columns and relationships of the same name: {sorted(clash)}"
        raise ValueError(msg)
    return MappingProxyType(found)


def _task_concurrency_limit() -> Table:
    """`task_tag_limit` as Cloud's web UI knows it, where the tag is a name."""
    table = _table(metadata.tables["runs.task_tag_limit"])
    columns = dict(table.columns)
    columns["name"] = replace(columns.pop("tag"), name="name")
    return replace(table, name="task_concurrency_limit", columns=MappingProxyType(columns))


def _traversal() -> Table:
    columns = {
        name: Column(name=name, scalar=scalar, nullable=True, sql=f'{{t}}."{name}"')
        for name, scalar in (("tenant_id", "uuid"), ("task_id", "uuid"), ("depth", "Int"))
    }
    return Table(
        name=TRAVERSAL,
        source="",
        tenant="tenant_id",
        key=None,
        columns=MappingProxyType(columns),
        relationships=MappingProxyType({}),
    )
