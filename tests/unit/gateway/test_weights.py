"""Documents that would keep validation at work for long are refused before it, in a sentence."""

import re

import pytest
from graphql import GraphQLError, get_introspection_query, parse

from services.gateway.budget import Budget
from services.gateway.weights import weigh


def names(count: int, pattern: str) -> str:
    return " ".join(pattern.replace("#", str(number)) for number in range(count))


HEAVY = {
    "unused fragments": (
        "{ hello }" + names(12_000, "fragment f# on Query { hello }"),
        "more than 200 operations and fragments",
    ),
    "operations": (names(201, "query q# { hello }"), "more than 200 operations and fragments"),
    "fields": (f"{{ {names(5_001, 'a#: hello')} }}", "more than 5000 fields"),
    "the same field": (f"{{ {'hello ' * 1_000} }}", "the same fields too often"),
    "the same place below several": (
        "{ " + ("flow { id { " + "id " * 20 + "} } ") * 60 + "}",
        "the same fields too often",
    ),
    "twice as many each time": (
        "{ ...f0 }"
        + " ".join(f"fragment f{n} on Query {{ a {{ ...f{n + 1} }} b {{ ...f{n + 1} }} }}" for n in range(30))
        + "fragment f30 on Query { hello }",
        "more than 5000 fields",
    ),
    "empty fragments, twice as many each time": (
        "{ ...f0 }"
        + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ... on Query {{ ...f{n + 1} }} }}" for n in range(30))
        + "fragment f30 on Query { __typename }",
        "the same fields too often",
    ),
    "aliases in an introspection": (
        "{ __schema { types { " + names(9, "f#: fields { name }") + " } } }",
        "An introspection may select each field once",
    ),
    "an introspection beside others": (
        "{ hello ...f } fragment f on Query { a: __schema { types { name } } b: __schema { types { name } } }",
        "An introspection may select each field once",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), HEAVY.values(), ids=HEAVY.keys())
def test_what_is_heavy_is_refused(text: str, says: str) -> None:
    document = parse(text)

    with pytest.raises(GraphQLError, match=re.escape(says)) as refused:
        weigh(document)
    assert refused.value.extensions == {"code": "LIMIT_EXCEEDED"}


def test_fragments_in_a_circle_are_left_to_validation() -> None:
    weigh(parse("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a hello }"))


def test_fields_count_as_often_as_they_are_spread() -> None:
    text = "{ a: flow { ...f } b: flow { ...f } } fragment f on flow { id name }"

    assert weigh(parse(text)).fields == 6


def test_the_schema_may_be_asked_as_tools_do() -> None:
    text = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True
    )

    assert weigh(parse(text)).introspects


@pytest.mark.parametrize(
    ("spend", "says"),
    [
        ("spend_characters", "2000000 characters"),
        ("spend_tokens", "100000 tokens"),
        ("spend_fields", "20000 fields"),
    ],
)
def test_the_operations_of_a_request_share_its_budget(spend: str, says: str) -> None:
    budget = Budget()
    limit = int(says.split(maxsplit=1)[0])

    getattr(budget, spend)(limit)

    with pytest.raises(GraphQLError, match=says):
        getattr(budget, spend)(1)


def test_a_request_has_so_much_time_beside_the_loop() -> None:
    budget = Budget()
    budget.spend_seconds(9.9)
    budget.check_seconds()

    budget.spend_seconds(0.2)

    with pytest.raises(GraphQLError, match="more than 10 s to read"):
        budget.check_seconds()
