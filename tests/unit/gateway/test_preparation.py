"""What is made of a document before anything is asked of anybody."""

import pytest
from graphql import GraphQLError

from services.gateway.budget import Budget
from services.gateway.documents import Documents
from services.gateway.graphql.schema import build_schema
from services.gateway.mutation_plans.cache import MutationPlans
from services.gateway.preparation import ROOT_LIMIT, NotAllowedError, Preparation
from services.gateway.reads import BadVariables
from services.gateway.requests import Operation

CANCEL = (
    '{ cancel_flow_run(input: { flow_run_id: "0190a0a0-0000-7000-8000-000000000001" }) { id } }'
)


@pytest.fixture(scope="module")
def preparation() -> Preparation:
    size = {"cache_size": 8, "cache_bytes": 1 << 20}
    schema, reads = build_schema(lambda _table, _attribute: lambda *_: None, **size)
    return Preparation(
        Documents(schema, count=8, size=1 << 20),
        reads,
        MutationPlans(schema, count=8, size=1 << 20),
    )


def operation(query: str, *, name: str | None = None, may_write: bool = True) -> Operation:
    return Operation(query, None, name, may_write=may_write)


def test_a_query_of_tables_gets_a_plan_and_is_quick_the_second_time(
    preparation: Preparation,
) -> None:
    asked = operation("{ project(limit: 3) { id name } }")
    assert not preparation.is_quick(asked)

    prepared = preparation.prepare(asked, Budget())

    assert prepared.is_query
    assert prepared.plan is not None
    assert preparation.is_quick(asked)


def test_introspection_gets_no_plan(preparation: Preparation) -> None:
    prepared = preparation.prepare(operation("{ __schema { queryType { name } } }"), Budget())

    assert prepared.plan is None
    assert prepared.asks_only({"__schema"})
    assert not prepared.asks_only({"__type"})


def test_a_get_may_not_change_anything(preparation: Preparation) -> None:
    with pytest.raises(NotAllowedError):
        preparation.prepare(operation(f"mutation {CANCEL}", may_write=False), Budget())


def test_more_mutations_than_graphql_core_can_nest_are_refused_through_fragments_too(
    preparation: Preparation,
) -> None:
    field = CANCEL.strip("{} ").removesuffix("{ id").strip()
    fields = " ".join(f"m{n}: {field} {{ id }}" for n in range(ROOT_LIMIT + 1))
    document = f"mutation {{ ...all }} fragment all on Mutation {{ {fields} }}"

    with pytest.raises(GraphQLError, match="at most") as refused:
        preparation.prepare(operation(document), Budget())

    assert str(ROOT_LIMIT + 1) in str(refused.value)


def test_an_operation_that_is_not_there_is_named(preparation: Preparation) -> None:
    document = "query a { hello } query b { hello }"

    with pytest.raises(GraphQLError, match="Must provide operation name"):
        preparation.prepare(operation(document), Budget())
    with pytest.raises(GraphQLError, match="'c'; the document has"):
        preparation.prepare(operation(document, name="c"), Budget())


def test_what_does_not_fit_the_schema_is_refused_with_every_reason(
    preparation: Preparation,
) -> None:
    with pytest.raises(BadVariables) as refused:
        preparation.prepare(operation("{ nothing nobody }"), Budget())

    assert len(refused.value.errors) == 2
