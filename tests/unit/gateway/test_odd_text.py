"""Unstorable text and numbers: cleaned in reports, in other requests refused with the name of the place."""

import json
from typing import Any

import pytest
from graphql import GraphQLError, parse, validate

from services.gateway import odd_text
from tests.integration.gateway.every_field import schema

SCHEMA = schema()
HALF = "\ud800"
LOGS = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }"
RUN = "0190a0a0-0000-7000-8000-00000000dead"
STATE = (
    f'mutation {{ set_flow_run_states(input: {{states: {{flow_run_id: "{RUN}", state: %s}}}})'
    " { states { id } } }"
)
KEY_VALUE = "mutation { set_key_value(input: {key: %s, value: %s}) { id } }"


def admitted(query: str, **variables: Any) -> tuple[str, Any]:
    return odd_text.admitted(SCHEMA, query, variables, None)


def test_what_a_log_line_holds_is_cleaned_and_its_neighbours_stay() -> None:
    given = {
        "logs": [
            {"message": f"caf{HALF}.txt", "info": {f"k{HALF}": float("nan"), "n": float("-inf")}},
            {"message": "plain\n", "name": "a\0b"},
        ]
    }

    query, variables = admitted(LOGS, input=given)

    assert query == LOGS
    assert variables["input"]["logs"] == [
        {"message": "caf�.txt", "info": {"k�": "NaN", "n": "-Infinity"}},
        {"message": "plain\n", "name": "a�b"},
    ]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"name": "a\0b"}, r"input.name cannot hold the character U\+0000."),
        ({"name": f"a{HALF}"}, "input.name holds half of a surrogate pair, which is not text."),
        (
            {"x": [1, {"y": float("nan")}]},
            r"input.x\[1\].y is NaN, which is not a JSON value; give a number, a string or null.",
        ),
        ({"a\0": 1}, r"the key input.a� cannot hold the character U\+0000."),
    ],
)
def test_what_a_person_configures_is_refused_with_the_name_of_the_place(
    value: Any, says: str
) -> None:
    query = "mutation($input: create_project_input!) { create_project(input: $input) { id } }"

    with pytest.raises(GraphQLError, match=says):
        admitted(query, input=value)


def test_of_a_document_that_does_both_the_reports_variable_is_cleaned_and_the_other_refused() -> (
    None
):
    query = (
        "mutation($log: write_run_logs_input!, $key: String!, $both: String!) {"
        " write_run_logs(input: $log) { success }"
        " set_key_value(input: {key: $key, value: $both}) { id }"
        " set_flow_run_name(input: {flow_run_id: $both, name: $both}) { success } }"
    )

    _, cleaned = admitted(query, log={"logs": [{"message": "\0"}]}, key="k")

    assert cleaned["log"] == {"logs": [{"message": "�"}]}
    for name in ("key", "both"):
        with pytest.raises(GraphQLError, match=f"^{name} cannot hold"):
            admitted(query, **{name: "\0"})


@pytest.mark.parametrize(
    ("literal", "becomes"),
    [
        (r'"{\"type\": \"Failed\", \"message\": \"a\\ud800b\"}"', {"type": "Failed", "message": "a�b"}),
        (r'"{\"type\": \"Failed\", \"message\": \"a\\u0000b\"}"', {"type": "Failed", "message": "a�b"}),
        (r'"{\"type\": \"Failed\", \"x\": NaN}"', {"type": "Failed", "x": "NaN"}),
        (r'"{\"type\": \"Failed\", \"x\": 1e999}"', {"type": "Failed", "x": "Infinity"}),
        (r'"{\"type\": \"Failed\", \"message\": \"a\ud800b\"}"', {"type": "Failed", "message": "a�b"}),
        (r'"{\"type\": \"Failed\", \"message\": \"C:\\\\u0000\"}"', {"type": "Failed", "message": r"C:\u0000"}),
        (r'{type: "Failed", message: "a\u0000b", x: 1e999}', {"type": "Failed", "message": "a�b", "x": "Infinity"}),
        (r'{type: "Failed", message: "{\"x\": \"\\u0000\"}"}', {"type": "Failed", "message": r'{"x": "\u0000"}'}),
    ],
)  # fmt: skip
def test_a_state_that_is_written_into_the_document_is_cleaned(literal: str, becomes: Any) -> None:
    query, _ = admitted(STATE % literal)

    document = parse(query)
    assert not validate(SCHEMA, document)
    field: Any = document.definitions[0]
    states = field.selection_set.selections[0].arguments[0].value.fields[0].value
    state = SCHEMA.type_map["JSON"].parse_literal(states.fields[1].value)  # type: ignore[attr-defined]
    assert state == becomes


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (r'"a\u0000"', "1", r"input.key cannot hold the character U\+0000"),
        (r'"a\u{0}"', "1", r"input.key cannot hold the character U\+0000"),
        ('"k"', r'"{\"x\": \"\\u0000\"}"', r"input.value.x cannot hold the character U\+0000"),
        ('"k"', r'"{\"x\": \"\\udc00\"}"', "input.value.x holds half of a surrogate pair"),
        (r'"a\ud800"', "1", "The document holds U\\+0000 or half of a surrogate pair"),
        (f'"a{HALF}"', "1", "The document holds U\\+0000 or half of a surrogate pair"),
    ],
)
def test_what_a_person_writes_into_the_document_is_refused(key: str, value: str, says: str) -> None:
    with pytest.raises(GraphQLError, match=says):
        admitted(KEY_VALUE % (key, value))


@pytest.mark.parametrize(
    "literal", [r'"\\u0000"', r'"\u00e9"', r'"\ud83d\ude00"', r'"\\ud800"', '"NaN"']
)
def test_what_only_looks_odd_stays_as_it_was(literal: str) -> None:
    query = f"mutation {{ create_project(input: {{name: {literal}}}) {{ id }} }}"

    assert admitted(query, input={"a": json.loads(r'"\ud83d\ude00"')}) == (
        query,
        {"input": {"a": "😀"}},
    )


def test_queries_name_the_place_too() -> None:
    query = "query($where: flow_bool_exp) { flow(where: $where) { flow_runs(where: {name: {_eq: %s}}) { id } } }"

    with pytest.raises(GraphQLError, match=r"^where.name._eq cannot hold"):
        admitted(query % '"a"', where={"name": {"_eq": "\0"}})
    with pytest.raises(GraphQLError, match=r"^where.name._eq cannot hold"):
        admitted(query % r'"\u0000"', where={})
