"""A row of a tenant in every table of `libs.schema` that holds tenants' rows."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Boolean, Integer, LargeBinary, Table, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import INTERVAL, JSONB, TIMESTAMP

from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from libs.schema import metadata
from tests.support.engines import Stack

TABLES = [table for table in metadata.sorted_tables if "tenant_id" in table.columns]


CHECKED = {"automations.flow_sla_config.kind": "SCHEDULED_NOT_STARTED"}
"""Columns that hold only certain words."""


def a_value(table: Table, name: str, tenant_id: UUID) -> Any:
    """Something that the column may hold."""
    if name == "tenant_id":
        return tenant_id
    if (checked := CHECKED.get(f"{table.fullname}.{name}")) is not None:
        return checked
    column = table.columns[name]
    stored = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    for kind, value in (
        (Uuid, new_id()),
        (TIMESTAMP, utc_now()),  # the partition of this week
        (JSONB, {}),
        (INTERVAL, timedelta(0)),
        (Boolean, False),
        (BigInteger, 1),
        (Integer, 1),
        (LargeBinary, new_id().bytes),
        (ARRAY, []),
    ):
        if isinstance(stored, kind):
            return value
    return str(new_id())


async def fill(stack: Stack, tenant_id: UUID) -> None:
    """A row in every table that has a tenant's rows; what refers to what is not looked at."""
    async with stack.admin_pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table in TABLES:
            values = {
                column.name: a_value(table, column.name, tenant_id)
                for column in table.columns
                if column.name == "tenant_id"
                or not (column.nullable or column.server_default or column.identity)
            }
            places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
            names = ", ".join(f'"{name}"' for name in values)
            await connection.execute(
                # Of some tables a tenant has one row, which may be there.
                f"INSERT INTO {table.fullname} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING",
                *values.values(),
            )


async def left(stack: Stack, tenant_id: UUID) -> set[str]:
    """The tables that have rows of a tenant."""
    return {
        table.fullname
        for table in TABLES
        if await stack.admin_pool.fetchval(
            f"SELECT EXISTS (SELECT FROM {table.fullname} WHERE tenant_id = $1)", tenant_id
        )
    }
