"""What every compiled statement has: a tenant for each table, parameters for each value, a bound for each list."""

import re
from typing import Any

import pytest
from graphql import parse, validate

from services.gateway.graphql.schema import build_schema
from services.gateway.reads.catalog import TRAVERSAL, Catalog
from services.gateway.reads.documents import lift
from services.gateway.reads.statement import Matching
from tests.unit.gateway.reads.compiling import PATH, SCHEMA, a_read_path, compiled

CATALOG = PATH.catalog
TABLES = [name for name in CATALOG.tables if name != TRAVERSAL]
_TABLE_IN_SQL = re.compile(r'(?:FROM|JOIN)\s+"?(\w+)"?\."?(\w+)"?\s+(\w+)')


def unguarded(sql: str) -> list[str]:
    """Tables of a statement without the tenant's predicate on their alias."""
    return [
        f"{schema}.{table} {alias}"
        for schema, table, alias in _TABLE_IN_SQL.findall(sql)
        if not re.search(
            rf"\b{alias}\.{'id' if table == 'tenant' else 'tenant_id'} = \$1(?!\d)", sql
        )
    ]


def everything(catalog: Catalog, table: str, depth: int) -> str:
    parts = list(catalog[table].columns)
    for relationship in catalog[table].relationships.values() if depth else ():
        below = everything(catalog, relationship.target, depth - 1)
        arguments = (
            f"(where: {{{a_filter(catalog, relationship.target)}}})" if relationship.many else ""
        )
        parts.append(f"{relationship.name}{arguments} {{ {below} }}")
        if relationship.many:
            parts.append(
                f"{relationship.name}_aggregate {{ aggregate {{ count }} nodes {{ id }} }}"
            )
    return " ".join(parts)


def a_filter(catalog: Catalog, table: str) -> str:
    """A filter through every relationship."""
    names = catalog[table].relationships
    return "id: {_is_null: false} " + " ".join(
        f"{name}: {{ id: {{_is_null: false}} }}" for name in names
    )


def an_ordering(catalog: Catalog, table: str) -> str:
    """An ordering through every relationship."""
    return " ".join(
        f"{name}_aggregate: {{ count: desc }}" if one.many else f"{name}: {{ id: asc }}"
        for name, one in catalog[table].relationships.items()
    )


def test_a_table_without_its_tenant_would_be_noticed() -> None:
    assert unguarded('SELECT FROM "runs"."log" t1 WHERE t1.id = $1') == ["runs.log t1"]
    assert unguarded('FROM "runs"."log" t1 WHERE t1.tenant_id = $12') == ["runs.log t1"]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_that_a_statement_touches_is_kept_to_the_tenant(table: str) -> None:
    text = f"""{{
        {table}(where: {{ {a_filter(CATALOG, table)} }}, order_by: {{ id: asc {an_ordering(CATALOG, table)} }}) {{
            {everything(CATALOG, table, 2)}
        }}
        {table}_aggregate(where: {{ {a_filter(CATALOG, table)} }}) {{ aggregate {{ count }} nodes {{ id }} }}
    }}"""

    sql = compiled(text).program.together

    assert len(_TABLE_IN_SQL.findall(sql)) > 2
    assert unguarded(sql) == []


@pytest.mark.parametrize("name", ["utility_downstream_tasks", "utility_upstream_tasks"])
def test_a_traversal_is_kept_to_the_tenant(name: str) -> None:
    sql = compiled(
        f'{{ {name}(args: {{start_task_ids: "{{}}", depth_limit: 3}}) {{ depth task {{ flow {{ id }} }} }} }}'
    ).program.together

    assert {table for _, table, _ in _TABLE_IN_SQL.findall(sql)} == {"task", "edge", "flow"}
    assert unguarded(sql) == []


@pytest.mark.parametrize("field", ["mapped_children { state_counts }", "get_task_run_info { id }"])
def test_the_fields_that_are_not_tables_are_kept_to_the_tenant(field: str) -> None:
    name, selection = field.split(" ", maxsplit=1)

    sql = compiled(f'{{ {name}(task_run_id: "{"0" * 32}") {selection} }}').program.together

    assert unguarded(sql) == []


_EVIL = "x'\"; DROP TABLE runs.flow_run; -- $1 \\ {t} \x1f"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("query ($v: String) { flow_run(where: {name: {_eq: $v}}) { id } }", {"v": _EVIL}),
        ("query ($v: [String!]) { flow_run(where: {name: {_in: $v}}) { id } }", {"v": [_EVIL]}),
        ("query ($v: flow_run_bool_exp) { flow_run(where: $v) { id } }", {"v": {"name": {"_like": _EVIL}}}),
        ("query ($v: jsonb) { flow(where: {settings: {_contains: $v}}) { id } }", {"v": {_EVIL: [_EVIL]}}),
        ("query ($v: [String!]) { flow(where: {settings: {_has_keys_any: $v}}) { id } }", {"v": [_EVIL]}),
        ("query ($v: interval) { task(where: {retry_delay: {_eq: $v}}) { id } }", {"v": _EVIL}),
    ],
)  # fmt: skip
def test_no_value_is_interpolated(text: str, variables: dict[str, Any]) -> None:
    plan = compiled(text, variables)

    assert "DROP TABLE" not in plan.program.together
    assert any("DROP TABLE" in str(value) for value in plan.bound[0].values)


def test_no_literal_is_interpolated() -> None:
    plan = compiled(
        '{ flow_run(where: {name: {_eq: "DROP TABLE"}}, limit: 77, offset: 78) { id } }'
    )

    assert plan.bound[0].values == ["DROP TABLE", 77, 78]
    assert not re.search(r"DROP|77|78", plan.program.together)


def test_the_parameters_of_root_fields_follow_one_another() -> None:
    plan = compiled(
        '{ a: flow(where: {name: {_eq: "x"}}) { id } b: flow(where: {name: {_eq: "y"}}) { id } }'
    )

    assert [bound.values for bound in plan.bound] == [["x"], ["y"]]
    assert re.findall(r"\$\d+(?=::varchar)", plan.program.together) == ["$2", "$3"]


def test_a_value_that_no_condition_needs_is_not_bound() -> None:
    plan = compiled('{ flow(where: {name: {_eq: "x"}, version: {_in: []}}, limit: 3) { id } }')

    assert plan.bound[0].values == [3]


@pytest.mark.parametrize("table", TABLES)
def test_every_list_has_a_limit(table: str) -> None:
    sql = compiled(f"{{ {table} {{ {everything(CATALOG, table, 2)} }} }}").program.together

    lists = len(re.findall(r"json_agg\(", sql))
    limits = len(re.findall(r" LIMIT ", sql))

    assert lists == limits


def test_a_document_is_compiled_once_for_all_its_literals() -> None:
    path, _ = a_read_path()
    first = compiled('{ flow(where: {name: {_eq: "x"}}) { id } }', path=path)

    recalled = path.recall(lift('{ flow(where: {name: {_eq: "y"}}) { id } }'), None, None)

    assert recalled is not None
    assert recalled.program is first.program
    assert recalled.bound[0].values == ["y"]


def test_a_document_is_compiled_once_for_each_shape_of_its_variables() -> None:
    path, _ = a_read_path()
    text = "query ($n: String, $w: flow_bool_exp!) { flow(where: {_and: [{name: {_eq: $n}}, $w]}) { id } }"
    compiled(text, {"n": "x", "w": {}}, path=path)

    plans = [
        path.recall(lift(text), None, {"n": name, "w": where})
        or compiled(text, {"n": name, "w": where}, path=path)
        for name, where in [
            ("a", {}),
            ("b", {}),
            (None, {}),
            ("a", {"version": {"_in": [1]}}),
            ("a", {"version": {"_in": []}}),
            ("a", {"version": {"_in": [2, 3]}}),
            ("a", {"archived": {"_eq": True}}),
            ("a", {"archived": {"_eq": False}}),
        ]
    ]

    programs = [plan.program for plan in plans]
    assert programs[0] is programs[1]
    assert programs[3] is programs[5]
    assert len({id(program) for program in programs}) == 6


def test_a_document_with_a_field_of_somebody_else_is_not_recalled() -> None:
    path, schema = a_read_path()
    assert schema is not SCHEMA
    compiled("{ __schema { queryType { name } } flow { id } }", path=path)

    assert path.recall(lift("{ __schema { queryType { name } } flow { id } }"), None, None) is None


def test_the_cache_forgets_what_was_not_used() -> None:
    path, schema = a_read_path()
    small = type(path).build(cache_size=2)
    small.use(schema)
    for name in ("flow", "task", "edge"):
        compiled(f"{{ {name} {{ id }} }}", path=small)

    assert small.recall(lift("{ flow { id } }"), None, None) is None
    assert small.recall(lift("{ edge { id } }"), None, None) is not None


@pytest.mark.parametrize(
    ("operator", "matching"),
    [
        ("_eq", Matching.NONE), ("_like", Matching.LIKE), ("_nlike", Matching.LIKE), ("_ilike", Matching.LIKE),
        ("_nilike", Matching.LIKE), ("_similar", Matching.REGEX), ("_nsimilar", Matching.REGEX),
        ("_regex", Matching.REGEX), ("_nregex", Matching.REGEX), ("_iregex", Matching.REGEX),
        ("_niregex", Matching.REGEX),
    ],
)  # fmt: skip
def test_what_matches_texts_is_known_wherever_it_stands(operator: str, matching: Matching) -> None:
    """The reader bounds it by that."""
    compared = f'{{{operator}: "a%"}}'
    for where in (
        f"{{name: {compared}}}",
        f"{{_not: {{_or: [{{name: {compared}}}]}}}}",
        f"{{project: {{name: {compared}}}}}",
    ):
        assert compiled(f"{{ flow(where: {where}) {{ id }} }}").program.matching is matching


def test_the_merged_schema_keeps_as_many_documents_as_it_is_given() -> None:
    schema, path = build_schema(
        lambda _table, _attribute: lambda _payload, _info: None, cache_size=2, cache_bytes=1 << 20
    )
    for name in ("flow", "task", "edge"):
        text = f"{{ {name} {{ id }} }}"
        document = parse(text)
        assert not validate(schema, document)
        path.compile(text, document, None, None)

    assert path.recall(lift("{ flow { id } }"), None, None) is None
    assert path.recall(lift("{ edge { id } }"), None, None) is not None
