"""Where traces go, and what statements and operations are called in them."""

import pytest

from libs.runtime.trace import endpoint_of
from libs.runtime.trace_sql import name_of
from services.gateway.requests import Operation, title_of

BASE = "http://collector:4318"
SENT = f"{BASE}/v1/traces"


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        (None, {}, None),
        (BASE, {}, SENT),
        (f"{BASE}/", {}, SENT),
        (SENT, {}, SENT),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": BASE}, SENT),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://other/spans"}, "http://other/spans"),
        (BASE, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other"}, SENT),
        (BASE, {"OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_traces_go_where_the_variables_say(
    given: str | None, environment: dict[str, str], expected: str | None
) -> None:
    assert endpoint_of(given, environment) == expected


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("BEGIN;", "BEGIN"),
        ("-- why\nSELECT 1 FROM runs.flow_run WHERE id = $1", "SELECT runs.flow_run"),
        ("INSERT INTO runs.outbox (id) VALUES ($1)", "INSERT runs.outbox"),
        ('SELECT (SELECT json_agg(x) FROM "runs"."log" AS x)', "SELECT runs.log"),
    ],
)
def test_a_statement_is_called_by_its_verb_and_first_table(sql: str, name: str) -> None:
    assert name_of(sql) == name


@pytest.mark.parametrize(
    ("document", "operation_name", "title"),
    [
        ("{ hello }", None, "query hello"),
        ("query Runs { flow_run { id } }", None, "query Runs"),
        ("query A { a } query B { b }", "B", "query B"),
        (
            'mutation { done: archive_flow(input: {flow_id: "x"}) { id } }',
            None,
            "mutation archive_flow",
        ),
        ("# note\nmutation Go($key: String) { create_flow_run { id } }", None, "mutation Go"),
        ("fragment F on flow { id }", None, "operation"),
        ("nonsense", None, "operation"),
    ],
)
def test_an_operation_is_called_by_its_kind_and_name_or_first_field(
    document: str, operation_name: str | None, title: str
) -> None:
    assert title_of(Operation(query=document, variables=None, name=operation_name)) == title
