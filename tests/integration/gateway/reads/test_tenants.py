"""No field of any table shows, matches or counts another tenant's rows, even where rows refer across tenants."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.gateway.reads.catalog import TRAVERSAL, Catalog, build_catalog
from tests.integration.gateway.reads.asking import Asker, asking
from tests.integration.gateway.reads.world import (
    A_TENANT,
    ANOTHER_TENANT,
    World,
    make_world,
    store,
)
from tests.support.engines import Database

CATALOG = build_catalog()
TABLES = [name for name in CATALOG.tables if name != TRAVERSAL]
A_STRANGER = UUID("0190cccc-0000-7000-8000-00000000000c")
MARK = "leaked"
ONE_OF_A_FEW_WORDS = {("flow_sla_config", "kind"), ("delivery", "status")}


@pytest.fixture(scope="module")
def world() -> World:
    """Rows that say so wherever a column can, if they are the other tenant's."""
    found = make_world(21)
    for table, rows in found.rows.items():
        for row in rows:
            if row.get("tenant_id", row.get("id")) == ANOTHER_TENANT:
                _mark(table, row)
    return found


def _mark(table: str, row: dict[str, Any]) -> None:
    columns = CATALOG[table].columns if table in CATALOG.tables else {}
    for name, column in columns.items():
        if name not in row or (table, name) in ONE_OF_A_FEW_WORDS:
            # Computed, or checked by the database.
            continue
        if column.scalar == "String":
            row[name] = f"{MARK} {row[name]} {row['id']}"
        elif column.scalar == "jsonb":
            row[name] = {MARK: str(row["id"])}


@pytest.fixture(scope="module")
async def asker(database: Database, world: World) -> AsyncIterator[Asker]:
    await store(world, database.admin_pool)
    async with asking(database.postgres_url("reader")) as found:
        yield found


def everything(catalog: Catalog, table: str, depth: int) -> str:
    """Every column of a table, and of what it is related to, with every kind of list."""
    parts = list(catalog[table].columns)
    for relationship in catalog[table].relationships.values() if depth else ():
        below = everything(catalog, relationship.target, depth - 1)
        parts.append(f"{relationship.name} {{ {below} }}")
        if relationship.many:
            parts.append(
                f"{relationship.name}_aggregate {{ {aggregates(catalog, relationship.target)} }}"
            )
    return " ".join(parts)


def aggregates(catalog: Catalog, table: str) -> str:
    """The greatest and the least of every column that has them, and the rows."""
    texts = " ".join(
        name for name, column in catalog[table].columns.items() if column.scalar == "String"
    )
    columns = " ".join(catalog[table].columns)
    values = f"max {{ {texts} }} min {{ {texts} }}" if texts else ""
    return f"aggregate {{ count {values} }} nodes {{ {columns} }}"


def test_the_other_tenants_rows_are_referred_to(world: World) -> None:
    theirs = {row["id"] for row in world.of("flow", ANOTHER_TENANT)}

    referring = [row for row in world.of("flow_run", A_TENANT) if row["flow_id"] in theirs]

    assert referring


@pytest.mark.parametrize("table", TABLES)
async def test_no_field_shows_another_tenants_rows(asker: Asker, table: str) -> None:
    text = f"""{{
        {table} {{ {everything(CATALOG, table, 2)} }}
        {table}_aggregate {{ {aggregates(CATALOG, table)} }}
    }}"""

    data = await asker.data(text)

    assert MARK not in orjson.dumps(data).decode()


@pytest.mark.parametrize("table", TABLES)
async def test_a_tenant_without_rows_sees_none(asker: Asker, table: str) -> None:
    text = f"{{ {table} {{ id }} {table}_aggregate {{ aggregate {{ count }} }} }}"

    data = await asker.data(text, tenant=A_STRANGER)

    assert data == {table: [], f"{table}_aggregate": {"aggregate": {"count": 0}}}


@pytest.mark.parametrize("table", [name for name in TABLES if CATALOG[name].key])
async def test_another_tenants_row_is_not_found_by_its_id(
    asker: Asker, world: World, table: str
) -> None:
    row = world.of(table, ANOTHER_TENANT)[0]

    data = await asker.data(f'{{ {table}_by_pk(id: "{row["id"]}") {{ id }} }}')

    assert data == {f"{table}_by_pk": None}


@pytest.mark.parametrize(
    ("table", "relationship"),
    [(table, name) for table in TABLES for name in CATALOG[table].relationships],
)
async def test_no_filter_matches_another_tenants_rows(
    asker: Asker, world: World, table: str, relationship: str
) -> None:
    target = CATALOG[table].relationships[relationship].target
    theirs = [str(row["id"]) for row in world.of(target, ANOTHER_TENANT)]
    text = f"""query ($ids: [uuid!]) {{
        {table}_aggregate(where: {{ {relationship}: {{ id: {{ _in: $ids }} }} }}) {{ aggregate {{ count }} }}
    }}"""

    data = await asker.data(text, {"ids": theirs})

    assert data[f"{table}_aggregate"]["aggregate"]["count"] == 0


async def test_a_traversal_neither_starts_at_nor_passes_another_tenants_tasks(
    asker: Asker, world: World
) -> None:
    every = "{" + ",".join(str(row["id"]) for row in world.rows["task"]) + "}"
    ours = {str(row["id"]) for row in world.of("task", A_TENANT)}
    theirs = {str(row["id"]) for row in world.of("task", ANOTHER_TENANT)}
    across = {
        str(edge["downstream_task_id"])
        for edge in world.of("edge", A_TENANT)
        if str(edge["downstream_task_id"]) in theirs
    }

    data = await asker.data(
        "query ($from: _uuid) { utility_downstream_tasks(args: {start_task_ids: $from, depth_limit: 1})"
        " { tenant_id task_id task { name } } }",
        {"from": every},
    )

    reached = data["utility_downstream_tasks"]
    assert {row["tenant_id"] for row in reached} == {str(A_TENANT)}
    assert {row["task_id"] for row in reached} - ours <= across
    assert all(row["task"] is None for row in reached if row["task_id"] in theirs)


async def test_the_children_and_the_state_of_another_tenants_task_run_stay_unknown(
    asker: Asker, world: World
) -> None:
    theirs = next(row for row in world.of("task_run", ANOTHER_TENANT) if row["map_index"] < 0)
    text = f"""{{
        mapped_children(task_run_id: "{theirs["id"]}") {{ min_start_time max_end_time state_counts }}
        get_task_run_info(task_run_id: "{theirs["id"]}") {{ state }}
    }}"""

    answer = await asker.ask(text)

    assert answer["data"] == {
        "mapped_children": {"min_start_time": None, "max_end_time": None, "state_counts": {}},
        "get_task_run_info": None,
    }
    assert [error["message"] for error in answer["errors"]] == ["Invalid task run ID"]


async def test_whoever_may_choose_among_tenants_finds_them_and_nothing_else_of_theirs(
    asker: Asker,
) -> None:
    text = f"""{{
        tenant(order_by: {{slug: asc}}) {{ id flows {{ id }} projects_aggregate {{ aggregate {{ count }} }} }}
        tenant_by_pk(id: "{ANOTHER_TENANT}") {{ flow_groups {{ id }} }}
        flow {{ tenant_id }}
    }}"""

    answer = await asker.ask(text, visible_tenants=[ANOTHER_TENANT])

    tenants = {tenant["id"]: tenant for tenant in answer["data"]["tenant"]}
    assert set(tenants) == {str(A_TENANT), str(ANOTHER_TENANT)}
    assert tenants[str(ANOTHER_TENANT)]["flows"] == []
    assert tenants[str(ANOTHER_TENANT)]["projects_aggregate"] == {"aggregate": {"count": 0}}
    assert answer["data"]["tenant_by_pk"] == {"flow_groups": []}
    assert {flow["tenant_id"] for flow in answer["data"]["flow"]} == {str(A_TENANT)}
