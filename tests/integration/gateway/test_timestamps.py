"""Times that PostgreSQL has and ISO 8601 does not: conditions take its words for days, nothing that is stored does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from graphql import get_named_type

from libs.runtime.ids import new_id
from services.gateway.reads.catalog import build_catalog
from tests.integration.gateway.every_field import schema
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.services import all_services

SCHEMA = schema()
WORDS = ["now", "now()", " NOW ", "today", "Tomorrow", "yesterday"]
SPECIAL = [
    "epoch", "infinity", "-infinity", "allballs",
    "today 10:00", "2026-01-02 allballs", "Jan 8 1999", "1/8/1999", "J2451187", "20260102 040506 PST", "",
]  # fmt: skip


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[Gql]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as gql:
        yield gql


def operands() -> list[tuple[str, str]]:
    """One column of each table that has a time, by table."""
    found: dict[str, str] = {}
    # Tables that are read from PostgreSQL; what is answered without it reads no operand.
    for name in sorted(
        build_catalog().tables.keys() & set(SCHEMA.query_type.fields if SCHEMA.query_type else ())
    ):
        kind = SCHEMA.type_map.get(f"{name}_bool_exp")
        for column, given in getattr(kind, "fields", {}).items():
            if get_named_type(given.type).name == "timestamptz_comparison_exp":
                found.setdefault(name, column)
    return sorted(found.items())


@pytest.mark.parametrize("text", SPECIAL)
async def test_no_condition_takes_a_time_that_is_not_iso_8601(api: Gql, text: str) -> None:
    asked = operands()
    assert len(asked) > 10
    for table, column in asked:
        for value in (text, [text]):
            operator = "_in" if isinstance(value, list) else "_lt"
            errors = await api.errors(
                f"query($w: {table}_bool_exp) {{ {table}(where: $w) {{ __typename }} }}",
                w={column: {operator: value}},
            )
            assert errors[0]["message"].startswith("invalid input syntax for type timestamptz"), (
                table
            )
            assert errors[0]["message"].endswith(
                "give ISO 8601, such as 2026-01-31T12:00:00Z, or now, today, yesterday or tomorrow (UTC)"
            )


@pytest.mark.parametrize("text", WORDS)
async def test_every_condition_takes_the_words_for_days(api: Gql, text: str) -> None:
    asked = operands()
    assert len(asked) > 10
    for table, column in asked:
        for operator, value in (("_lt", text), ("_in", [text, "2026-01-02"]), ("_nin", text)):
            await api(
                f"query($w: {table}_bool_exp) {{ {table}(where: $w) {{ __typename }} }}",
                w={column: {operator: value}},
            )


async def test_now_is_the_instant_of_each_request_and_not_of_the_first(api: Gql) -> None:
    name = f"project-{new_id()}"
    inlined = f"""{{
        before: project(where: {{name: {{_eq: "{name}"}}, created: {{_lt: "now()"}}}}) {{ name }}
        after: project(where: {{name: {{_eq: "{name}"}}, created: {{_gte: "now"}}}}) {{ name }}
        since: project(where: {{name: {{_eq: "{name}"}}, created: {{_gte: "yesterday"}}}}) {{ name }}
        ahead: project(where: {{name: {{_eq: "{name}"}}, created: {{_gte: "tomorrow"}}}}) {{ name }}
    }}"""
    nobody = await api(inlined)
    await api(
        "mutation($n: String!) { create_project(input: {name: $n}) { id } }",
        n=name,
    )

    found = await api(inlined)

    assert not any(nobody.values())
    assert found == {
        "before": [{"name": name}],
        "after": [],
        "since": [{"name": name}],
        "ahead": [],
    }


async def test_the_rows_below_a_mutation_take_the_words_too(api: Gql) -> None:
    project = await api(
        "mutation($n: String!) { create_project(input: {name: $n}) { id } }",
        n=f"project-{new_id()}",
    )
    flow = await api(
        "mutation($i: create_flow_input!) { create_flow(input: $i) { id } }",
        i={"serialized_flow": a_flow(), "project_id": project["create_project"]["id"]},
    )
    document = """mutation($f: UUID!, $w: flow_run_state_bool_exp) { create_flow_run(input: {flow_id: $f}) {
        flow_run { states(where: $w) { state } } } }"""

    before = await api(document, f=flow["create_flow"]["id"], w={"timestamp": {"_lte": "tomorrow"}})
    after = await api(document, f=flow["create_flow"]["id"], w={"timestamp": {"_gt": "tomorrow"}})

    assert before["create_flow_run"]["flow_run"]["states"] == [{"state": "Scheduled"}]
    assert after["create_flow_run"]["flow_run"]["states"] == []


@pytest.mark.parametrize("text", WORDS + SPECIAL)
async def test_no_mutation_takes_a_time_that_is_not_iso_8601(api: Gql, text: str) -> None:
    asked = []
    for name, found in SCHEMA.mutation_type.fields.items() if SCHEMA.mutation_type else ():
        kind = get_named_type(found.args["input"].type)
        for field, given in getattr(kind, "fields", {}).items():
            if get_named_type(given.type).name == "DateTime":
                asked.append((name, field, kind.name))
    assert len(asked) >= 5
    for name, field, kind_name in asked:
        errors = await api.errors(
            f"mutation($i: {kind_name}!) {{ {name}(input: $i) {{ __typename }} }}", i={field: text}
        )
        said = " ".join(error["message"] for error in errors)
        assert "DateTime cannot represent" in said, (name, said)


@pytest.mark.parametrize("text", WORDS + SPECIAL)
async def test_no_state_waits_for_a_time_that_is_not_iso_8601(api: Gql, text: str) -> None:
    run = "0190a0a0-0000-7000-8000-00000000dead"
    errors = await api.errors(
        "mutation($s: JSON!) { set_flow_run_states(input: {states: [{flow_run_id: "
        f'"{run}", state: $s}}]}}) {{ states {{ id }} }} }}',
        s={"type": "Scheduled", "start_time": text},
    )
    assert errors[0]["message"] == "{'start_time': ['Not a valid datetime.']}"
