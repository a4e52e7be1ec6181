"""PostgreSQL answers the most frequent shapes through indexes; no large table is read from end to end.

`HEADWATER_TEST_RUNS` sets how large (1,000,000 takes some minutes); the planner's choices are those of a large database
from some ten thousand runs on.
"""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import pytest
from graphql import parse

from services.gateway.reads import ReadPath
from tests.integration.gateway.reads.asking import schema_of
from tests.integration.gateway.reads.scale import BUSY_TENANT, Scale, make_runs
from tests.integration.gateway.reads.shapes import Shape, shapes
from tests.support.engines import Database

RUNS = int(os.environ.get("HEADWATER_TEST_RUNS", "30000"))
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_LARGE = 1_000  # rows; partitions of weeks to come are empty


@dataclass(frozen=True)
class Planner:
    """A large database, and a connection that says how it would answer."""

    path: ReadPath
    connection: "asyncpg.Connection[asyncpg.Record]"
    large: frozenset[str]

    async def explain(self, shape: Shape) -> list[dict[str, Any]]:
        """The nodes of the plans of all root fields."""
        found: list[dict[str, Any]] = []
        plan = self.path.compile(shape.text, parse(shape.text), None, shape.variables)
        assert plan.bound
        for bound in plan.bound:
            text = await self.connection.fetchval(
                f"EXPLAIN (FORMAT JSON) {bound.sql}", BUSY_TENANT, *bound.values
            )
            found += _nodes(orjson.loads(text)[0]["Plan"])
        return found


@pytest.fixture(scope="module")
async def planner(database: Database) -> AsyncIterator[Planner]:
    scale = Scale(runs=RUNS, task_runs_per_run=2, states_per_run=1, logs_per_run=1)
    await make_runs(database.postgres_url("owner"), scale, now=NOW)
    path = ReadPath.build()
    schema_of(path)
    reader = await asyncpg.connect(database.postgres_url("reader"))
    large = await reader.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > $1", _LARGE
    )
    yield Planner(path, reader, frozenset(row["relname"] for row in large))
    await reader.close()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


@pytest.mark.parametrize("shape", shapes(NOW, RUNS), ids=lambda shape: shape.name)
async def test_a_frequent_shape_is_answered_through_its_index(
    planner: Planner, shape: Shape
) -> None:
    nodes = await planner.explain(shape)

    whole = [
        node["Relation Name"]
        for node in nodes
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in planner.large
    ]
    used = {node["Index Name"] for node in nodes if "Index Name" in node}
    assert whole == []
    assert any(shape.index in name for name in used), used
