"""Random rows in every table that can be read, in two tenants that refer to each other's rows on purpose.

Values come from small pools, so that filters match, orderings tie and aggregates have duplicates. A row may refer to a
row of the other tenant, which no service would ever write: what the read path then shows is decided by its own
predicates alone.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from libs.schema import metadata

A_TENANT = UUID("0190aaaa-0000-7000-8000-00000000000a")
ANOTHER_TENANT = UUID("0190bbbb-0000-7000-8000-00000000000b")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, Any]

_ONE_OF_EACH = 2
"""Rows of a table that are there for any seed: one of each tenant."""
STATES = ("Scheduled", "Submitted", "Running", "Success", "Failed", "Cached", "Cancelled")
NAMES = ("alpha", "beta", "gamma", "delta_1", "Alpha", "a%b", "x")
JSON: tuple[Any, ...] = (
    {}, [], {"a": 1}, {"a": 2, "b": [1, 2]}, ["a", "b"], [{"a": 1}], {"heartbeat_enabled": True}, "a", 1,
)  # fmt: skip

# How many rows of each table, and which of its columns refer to which table. Order: referred to before referring.
_TABLES: dict[str, tuple[int, dict[str, str]]] = {
    "gateway.person": (6, {}),
    "gateway.key_value": (5, {}),
    "gateway.cloud_hook": (4, {}),
    "gateway.message": (4, {}),
    "gateway.audit_log": (4, {"user_id": "person"}),
    "registry.project": (5, {}),
    "registry.flow_group": (6, {}),
    "registry.flow": (
        10,
        {"project_id": "project", "flow_group_id": "flow_group", "created_by": "person"},
    ),
    "registry.task": (20, {"flow_id": "flow"}),
    "registry.edge": (
        24,
        {"flow_id": "flow", "upstream_task_id": "task", "downstream_task_id": "task"},
    ),
    "runs.agent_config": (3, {}),
    "runs.agent": (5, {"agent_config_id": "agent_config"}),
    "runs.flow_run": (
        30,
        {
            "flow_id": "flow",
            "flow_group_id": "flow_group",
            "agent_id": "agent",
            "created_by": "person",
        },
    ),
    "runs.flow_run_state": (40, {"flow_run_id": "flow_run", "actor": "person"}),
    "runs.task_run": (50, {"flow_run_id": "flow_run", "task_id": "task"}),
    "runs.task_run_state": (40, {"task_run_id": "task_run", "actor": "person"}),
    "runs.log": (40, {"flow_run_id": "flow_run", "task_run_id": "task_run"}),
    "runs.task_run_artifact": (8, {"task_run_id": "task_run"}),
    "runs.flow_concurrency_limit": (4, {}),
    "runs.task_tag_limit": (4, {}),
    "runs.log_usage": (15, {"flow_run_id": "flow_run"}),
    "heartbeat.last_seen": (15, {"flow_run_id": "flow_run"}),
    "heartbeat.task_last_seen": (15, {"task_run_id": "task_run"}),
    # New tables come last: the rows of the others stay the same for a seed.
    "automations.action": (4, {"created_by": "person"}),
    "automations.hook": (6, {"action_id": "action", "created_by": "person"}),
    "automations.flow_sla_config": (4, {}),
    "automations.flow_group_sla": (
        6,
        {"flow_sla_config_id": "flow_sla_config", "flow_group_id": "flow_group"},
    ),
    "automations.delivery": (8, {"action_id": "action", "hook_id": "hook"}),
    "automations.delivery_attempt": (12, {"delivery_id": "delivery"}),
}
_UNIQUE_NAMES = {  # columns that make a key: they get a number
    "key_value": "key", "project": "name", "flow_group": "name", "task": "slug", "agent": "name", "edge": "key",
    "flow_concurrency_limit": "name", "task_tag_limit": "tag", "delivery": "dedup",
}  # fmt: skip
_SEEN_AS = {"task_concurrency_limit": "task_tag_limit"}  # two names of one table
_CLOSED = {
    "flow_run.state": STATES,
    "task_run.state": STATES,
    "flow_run_state.state": STATES,
    "person.account_type": ("USER", "SERVICE"),
    "delivery.status": ("pending", "delivered", "failed"),
    "flow_sla_config.kind": ("SCHEDULED_NOT_STARTED", "STARTED_NOT_FINISHED"),
}


@dataclass(frozen=True, slots=True)
class World:
    """The rows of every table, by the table's name."""

    rows: Mapping[str, list[Row]]

    def of(self, table: str, tenant: UUID) -> list[Row]:
        """The rows of one tenant."""
        column = "id" if table == "tenant" else "tenant_id"
        return [row for row in self.rows[_SEEN_AS.get(table, table)] if row[column] == tenant]


def make_world(seed: int) -> World:
    """The same rows for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - test data
    rows: dict[str, list[Row]] = {
        "tenant": [_tenant(A_TENANT, "a"), _tenant(ANOTHER_TENANT, "another")]
    }
    for full_name, (count, references) in _TABLES.items():
        name = full_name.split(".")[1]
        rows[name] = []
        for number in range(count):
            row = _row(dice, full_name, number, references, rows)
            # The first two are one of each tenant, so another is drawn where the key is taken.
            while row is None and number < _ONE_OF_EACH:
                row = _row(dice, full_name, number, references, rows)
            if row is not None:
                rows[name].append(row)
    return World(rows)


async def store(world: World, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Empty the tables and write the world's rows. The pool's codec must take JSON as values."""
    schemas = {table.name: table.schema for table in metadata.tables.values()}
    async with pool.acquire() as connection, connection.transaction():
        for name in world.rows:
            await connection.execute(f'TRUNCATE "{schemas[name]}"."{name}" CASCADE')
        for name, rows in world.rows.items():
            if not rows:
                continue
            columns = list(rows[0])
            listed = ", ".join(f'"{column}"' for column in columns)
            places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
            await connection.executemany(
                f'INSERT INTO "{schemas[name]}"."{name}" ({listed}) VALUES ({places})',
                [[row[column] for column in columns] for row in rows],
            )


def _tenant(tenant: UUID, slug: str) -> Row:
    return {
        "id": tenant, "created": EPOCH, "updated": EPOCH, "name": slug.title(), "slug": slug,
        "info": None, "settings": {},
    }  # fmt: skip


def _row(
    dice: random.Random,
    full_name: str,
    number: int,
    references: Mapping[str, str],
    rows: Mapping[str, list[Row]],
) -> Row | None:
    table = metadata.tables[full_name]
    row: Row = {}
    for column in table.columns:
        if column.name == "tenant_id":
            # Each has a row of every table.
            either = [A_TENANT, A_TENANT, ANOTHER_TENANT]
            is_fixed = number < _ONE_OF_EACH
            row[column.name] = either[number * 2] if is_fixed else dice.choice(either)
        elif column.name in references:
            optional = column.nullable and dice.random() < 0.3
            target = rows[references[column.name]]
            row[column.name] = None if optional else dice.choice(target)["id"]
        else:
            row[column.name] = _value(dice, table.name, column, number)
    keys = {
        "task_run": ("flow_run_id", "task_id", "map_index"),
        "flow": ("flow_group_id", "version"),
        "log_usage": ("flow_run_id",),
        "last_seen": ("flow_run_id",),
        "task_last_seen": ("task_run_id",),
        "flow_group_sla": ("flow_sla_config_id", "flow_group_id"),
        "delivery_attempt": ("delivery_id", "number"),
    }.get(table.name)
    if keys and any(all(other[key] == row[key] for key in keys) for other in rows[table.name]):
        return None
    return row


def _value(dice: random.Random, table: str, column: Any, number: int) -> Any:
    # A delivery has one addressee: here an action.
    if column.name in ("schedule_hash", "idempotency_key", "role_id", "cloud_hook_id"):
        return None
    if _UNIQUE_NAMES.get(table) == column.name:
        return f"{dice.choice(NAMES)}-{number}"
    if column.name == "duration_seconds":
        return dice.randrange(1, 6)
    if column.name == "map_index":
        return dice.choice([-1, -1, 0, 1, 2])
    if column.nullable and dice.random() < 0.3:
        return None
    kind = column.type.python_type if not hasattr(column.type, "impl_instance") else str
    named = type(column.type).__name__
    if named == "JSONB":
        return dice.choice(JSON)
    if named in ("TIMESTAMP",):
        return EPOCH + timedelta(hours=dice.randrange(60), microseconds=dice.choice([0, 330400]))
    if named == "INTERVAL":
        return timedelta(seconds=dice.choice([0, 60, 90_061]))
    if kind is UUID:
        return UUID(int=dice.getrandbits(128))
    if kind is bytes:
        return b"sealed"
    if kind is bool:
        return dice.random() < 0.5
    if kind is int:
        return dice.randrange(5)
    return dice.choice(_CLOSED.get(f"{table}.{column.name}", NAMES))
