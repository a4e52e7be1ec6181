"""Which mutations get a plan, and what the plan makes of a request; the schema is real, nothing is asked of anybody."""

from functools import cache
from typing import Any

import pytest
from graphql import GraphQLSchema, get_operation_ast, parse

from services.gateway.graphql.schema import build_schema
from services.gateway.mutation_plans.cache import MutationPlans
from services.gateway.mutation_plans.coercion import NotCoveredError
from services.gateway.mutation_plans.compiler import compile_plan
from services.gateway.mutation_plans.plan import MutationPlan
from services.gateway.reads.documents import lift, slots_of

RUN = "0190a0a0-0000-7000-8000-000000000001"
OTHER = "0190a0a0-0000-7000-8000-000000000002"
CANCEL = 'mutation { cancel_flow_run(input: { flow_run_id: "%s" }) { id } }'


@cache
def schema() -> GraphQLSchema:
    made, _ = build_schema(
        lambda _table, _attribute: lambda *_: None, cache_size=8, cache_bytes=1 << 20
    )
    return made


def planned(text: str) -> MutationPlan | None:
    document = parse(text)
    node = get_operation_ast(document)
    assert node is not None
    return compile_plan(schema(), document, node, slots_of(lift(text), document))


def arguments(text: str, variables: dict[str, Any] | None = None) -> list[Any]:
    plan = planned(text)
    assert plan is not None
    return plan.fit(lift(text).literals, variables or {})


def test_a_literal_becomes_the_declared_input() -> None:
    [argument] = arguments(CANCEL % RUN)

    assert str(argument.flow_run_id) == RUN


def test_a_variable_becomes_the_same_input_as_the_literal() -> None:
    document = "mutation($i: cancel_flow_run_input!) { cancel_flow_run(input: $i) { id } }"

    assert arguments(document, {"i": {"flow_run_id": RUN}}) == arguments(CANCEL % RUN)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"i": None},
        {"i": {}},
        {"i": {"flow_run_id": None}},
        {"i": {"flow_run_id": "no id"}},
        {"i": {"flow_run_id": RUN, "unknown": 1}},
        {"i": [RUN]},
    ],
)
def test_what_does_not_fit_is_left_to_graphql_core(variables: dict[str, Any]) -> None:
    with pytest.raises(NotCoveredError):
        arguments(
            "mutation($i: cancel_flow_run_input!) { cancel_flow_run(input: $i) { id } }", variables
        )


@pytest.mark.parametrize(
    "document",
    [
        # a directive may leave a field out
        CANCEL.replace("}) { id }", "}) { id @skip(if: true) }") % RUN,
        # the same key twice is merged
        CANCEL.replace("}) { id }", "}) { id id }") % RUN,
        # a relation is a row, read after the mutation
        f'mutation {{ createFlowRun(input: {{ flowId: "{RUN}" }}) {{ flow_run {{ id }} }} }}',
        "mutation { __typename }",
    ],
)
def test_what_plans_do_not_cover_gets_none(document: str) -> None:
    assert planned(document) is None


def test_two_documents_that_differ_in_a_literal_share_a_plan_and_not_the_literal() -> None:
    plans = MutationPlans(schema(), count=8, size=1 << 20)
    document = parse(CANCEL % RUN)
    node = get_operation_ast(document)
    assert node is not None
    plans.remember(CANCEL % RUN, None, document, node)

    found = plans.find(lift(CANCEL % OTHER), None)

    assert found is not None
    assert [str(a.flow_run_id) for a in found.fit(None)] == [OTHER]
    assert plans.find(lift("mutation { x }"), None) is None


def test_a_cache_that_compiles_nothing_remembers_nothing() -> None:
    plans = MutationPlans(schema(), count=8, size=1 << 20, compiles=False)
    document = parse(CANCEL % RUN)
    node = get_operation_ast(document)
    assert node is not None

    plans.remember(CANCEL % RUN, None, document, node)

    assert len(plans) == 0
