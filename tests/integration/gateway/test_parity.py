"""The compiled path of a mutation answers what graphql-core answers, whatever the document looks like."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import orjson
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)
from nats.js.api import PubAck
from pydantic import BaseModel, SecretStr
from structlog.testing import capture_logs

from libs.contracts import runs, streams
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.database import Database
from libs.runtime.ids import new_id
from services.gateway.budget import Budget
from services.gateway.context import Context, Shared
from services.gateway.downloads.lines import Lines
from services.gateway.downloads.routes import Downloads
from services.gateway.downloads.tables import Tables
from services.gateway.graphql.dialect import REGISTRY
from services.gateway.graphql.schema import build_schema
from services.gateway.identity import Identity, OpenAuthenticator, Tenants
from services.gateway.lease_checks import LeaseChecks
from services.gateway.log_copies import LogCopies
from services.gateway.off_loop import OffLoop
from services.gateway.operations import Operations
from services.gateway.preparation import Prepared
from services.gateway.reads import Reader, ReadPath
from services.gateway.requests import Operation
from services.gateway.roles import RIGHTS, Role
from services.gateway.rows import Rows
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.tokens import Seal
from services.gateway.vault import Vault
from tests.integration.gateway.reads.reference import Word, literal
from tests.support.engines import Stack

RUN = "0190a0a0-0000-7000-8000-000000000001"
NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
OTHER = "0190a0a0-0000-7000-8000-000000000002"
STATE = r'"{\"type\": \"Running\"}"'

DOCUMENTS: list[tuple[str, dict[str, Any] | None]] = [
    (
        f'mutation {{ update_flow_run_heartbeat(input: {{ flow_run_id: "{RUN}" }}) {{ success }} }}',
        None,
    ),
    (
        f'mutation {{ updateFlowRunHeartbeat(input: {{ flowRunId: "{RUN}" }}) {{ success error }} }}',
        None,
    ),
    (
        f'mutation {{ get_or_create_task_run_info(input: {{ flow_run_id: "{RUN}", task_id: "{OTHER}", map_index: -1 }})'
        " { serialized_state version id state } }",
        None,
    ),
    (
        "mutation($input: set_flow_run_states_input!)"
        " { set_flow_run_states(input: $input) { states { message id status } } }",
        {"input": {"states": [{"flow_run_id": RUN, "state": {"type": "Running"}, "version": 2}]}},
    ),
    (
        "mutation($input: set_flow_run_states_input!)"
        " { set_flow_run_states(input: $input) { states { message id status } } }",
        {"input": {"states": {"flow_run_id": RUN, "state": {"type": "Running"}, "version": None}}},
    ),
    (
        f'mutation {{ setFlowRunStates(input: {{ states: {{ flowRunId: "{RUN}", state: {STATE} }} }})'
        " { states { id } __typename } }",
        None,
    ),
    (
        "mutation($s: JSON!, $v: Int = 7) { a: set_task_run_states(input: { states: [{ task_run_id:"
        f' "{RUN}", state: $s, version: $v }}] }}) {{ states {{ ...one }} }} }}'
        " fragment one on set_flow_run_state_result { id s: status }",
        {"s": {"type": "Running", "n": [1, None, {"x": "é"}]}},
    ),
    (
        f'mutation {{ a: cancel_flow_run(input: {{ flow_run_id: "{RUN}" }}) {{ state }}'
        f' b: cancel_flow_run(input: {{ flow_run_id: "{OTHER}" }}) {{ state id }} }}',
        None,
    ),
    (
        "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
        {
            "input": {
                "flow_id": RUN,
                "parameters": {"x": 1},
                "labels": ["b", "a"],
                "scheduled_start_time": "2026-01-01T00:00:00",
                "run_config": None,
            }
        },
    ),
    (
        "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }",
        {"input": {"before": "2026-11-22T05:40:30.068172+00:00", "labels": [], "tenant_id": None}},
    ),
    (
        "mutation($input: register_agent_input!) { register_agent(input: $input) { id } }",
        {"input": {"type": "LocalAgent", "labels": ["x"], "name": None}},
    ),
    (
        "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }",
        {"input": {"logs": {"message": "hi", "level": "ERROR"}}},
    ),
    # what is refused
    (
        'mutation { cancel_flow_run(input: { flow_run_id: "ffffffff-0000-7000-8000-000000000000" }) { state } }',
        None,
    ),
    ('mutation { create_flow_run(input: { parameters: "[1]" }) { id } }', None),
    (
        "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
        {"input": None},
    ),
    ("mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }", {}),
    (
        "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
        {"input": {"flow_id": "not a uuid"}},
    ),
    (
        "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
        {"input": {"unknown": 1}},
    ),
    ('mutation { cancel_flow_run(input: { flow_run_id: "nope" }) { state } }', None),
    (
        "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }",
        {"input": {"logs": {"level": "LOUD"}}},
    ),
    (
        f'mutation($skip: Boolean!) {{ cancel_flow_run(input: {{ flow_run_id: "{RUN}" }})'
        " { state @skip(if: $skip) id } }",
        {"skip": True},
    ),
    ("mutation { delete_tenant_x { id } }", None),
]


class Echo:
    """Stands for the bus: remembers what was asked and answers something that depends on it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.client = self
        self.js = self

    async def call(self, rpc: Any, request: Any, **_options: Any) -> Any:
        self.asked.append(request.model_dump_json())
        if rpc is runs.CANCEL_FLOW_RUN:
            if str(request.flow_run_id).startswith("ffffffff"):
                return Refused(
                    code=Code.FLOW_RUN_INVALID_ID, fields={"id": str(request.flow_run_id)}
                )
            return runs.FlowRunCancelled(id=request.flow_run_id, state="Cancelled")
        if rpc is runs.SET_STATES:
            return runs.StatesSet(
                outcomes=[
                    runs.StateApplied(id=p.run_id, version=1, state="Running")
                    for p in request.proposals
                ]
            )
        if rpc is runs.GET_OR_CREATE_TASK_RUN:
            return runs.TaskRunInfo(
                id=request.task_id, version=0, state="Pending", serialized_state={"type": "Pending"}
            )
        if rpc is runs.CREATE_FLOW_RUN:
            return runs.FlowRunCreated(id=UUID(int=9))
        if rpc is runs.GET_RUNS_IN_QUEUE:
            return runs.RunsInQueue(flow_run_ids=[UUID(int=8)])
        return filled(rpc.reply)

    async def publish(self, *args: Any, **options: Any) -> PubAck:
        self.asked.append(repr((args, options)))
        return PubAck(stream="LOGS", seq=len(self.asked))

    def trace_headers(self) -> None:
        return None


def filled(kind: Any) -> Any:
    """A value of an annotation, the simplest that has something in every place."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return kind(
            **{
                n: filled(f.annotation)
                for n, f in fields
                if get_origin(f.annotation) is not Literal
            }
        )
    arguments = [one for one in get_args(kind) if one is not type(None)]
    match get_origin(kind):
        case None:
            supertype = getattr(kind, "__supertype__", kind)
            if isinstance(supertype, type) and issubclass(supertype, Enum):
                return next(iter(supertype))
            return _FILLERS.get(supertype, {"x": 1})
        case origin if origin in (list, tuple):
            return [filled(arguments[0])]
        case origin if origin in (dict, Mapping):
            return {"x": 1}
        case _:  # a union, or something annotated
            return filled(arguments[0])


_FILLERS: dict[Any, Any] = {
    UUID: UUID(int=7), str: "text", int: 3, bool: True, float: 1.5, datetime: NOW, timedelta: timedelta(minutes=1),
}  # fmt: skip


@pytest.fixture(scope="module")
async def reader(stack: Stack) -> AsyncIterator[Reader]:
    reader = Reader(stack.postgres_url("reader"), pool_size=1)
    await reader.connect()
    yield reader
    await reader.close()


@cache
def the_schema() -> tuple[GraphQLSchema, ReadPath]:
    """Built once: it takes longer than all that is asked of it here."""
    return build_schema(
        lambda _table, _attribute: lambda _payload, _info: None, cache_size=100, cache_bytes=1 << 20
    )


def operations_and_context(
    stack: Stack, reader: Reader, *, compile_mutations: bool, role: Role = Role.USER
) -> tuple[Operations, Context, Echo]:
    settings = GatewaySettings(
        postgres_url=stack.postgres_url("gateway"),
        nats_url=stack.nats_url,
        reader_postgres_url=stack.postgres_url("reader"),
        auth="off",
        key_pepper=SecretStr("a pepper for tests"),
    )
    schema, reads = the_schema()
    database = Database(stack.postgres_url("reader"), pool_size=1, name="test")
    store = Store(database)
    tenants = Tenants(store)
    authenticator = OpenAuthenticator(tenants, seal=Seal(b"pepper"), clock=lambda: NOW)
    echo = Echo()
    seal = Seal(b"pepper")
    shared = Shared(
        log_copies=LogCopies(echo, streams.LOGS, streams.LOG_DRAIN),  # type: ignore[arg-type] # as below
        authenticator=authenticator,
        pepper=b"",
        bus=echo,  # type: ignore[arg-type] # stands for it
        clock=lambda: NOW,
        ids=lambda: UUID(int=5),
        settings=settings,
        store=store,
        tenants=tenants,
        rows=Rows(reads, reader, database),
        vault=Vault(b"pepper"),
        seal=seal,
        leases=LeaseChecks(store.held),
        off_loop=OffLoop(),
        bulk=None,  # type: ignore[arg-type] # nothing here acts on many
        board=None,  # type: ignore[arg-type] # nor asks how services are
        downloads=Downloads(authenticator, Lines(reader), Tables(reads, reader)),
    )
    context = Context(
        shared=shared,
        identity=Identity(
            tenant_id=UUID(int=1), any_tenant=False, rights=RIGHTS[role], user_id=UUID(int=2)
        ),
    )
    operations = Operations(
        schema,
        reads,
        reader,
        cache_size=100,
        cache_bytes=1 << 20,
        ids=lambda: UUID(int=5),
        compile_mutations=compile_mutations,
    )
    return operations, context, echo


@pytest.mark.parametrize(("document", "variables"), DOCUMENTS)
async def test_both_ways_answer_the_same_and_ask_the_same(
    stack: Stack, reader: Reader, document: str, variables: dict[str, Any] | None
) -> None:
    slow, slow_context, slow_echo = operations_and_context(stack, reader, compile_mutations=False)
    fast, fast_context, fast_echo = operations_and_context(stack, reader, compile_mutations=True)
    operation = Operation(query=document, variables=variables, name=None)

    expected = await slow.run(operation, slow_context)
    first = await fast.run(operation, fast_context)
    again = await fast.run(operation, fast_context)

    assert first.status == again.status == expected.status
    assert _comparable(first.body) == _comparable(again.body) == _comparable(expected.body)
    assert fast_echo.asked == slow_echo.asked * 2


async def test_requests_that_come_together_and_differ_in_literals_are_compiled_once_for_each_key(
    stack: Stack, reader: Reader, silence: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations, context, echo = operations_and_context(stack, reader, compile_mutations=True)
    other = replace(context, identity=replace(context.identity, tenant_id=UUID(int=9)))
    prepared = list[str]()
    prepare = operations._preparation.prepare

    def noted(operation: Operation, budget: Budget) -> Prepared:
        prepared.append(operation.query)
        return prepare(operation, budget)

    monkeypatch.setattr(operations._preparation, "prepare", noted)

    answers = await asyncio.gather(
        *(
            operations.run(
                Operation(
                    query="mutation { get_or_create_task_run_info(input: { flow_run_id:"
                    f' "{new_id()}", task_id: "{OTHER}", map_index: -1 }}) {{ id }} }}',
                    variables=None,
                    name=None,
                ),
                asking,
            )
            for asking in (context, other)
            for _ in range(20)
        )
    )

    # The second key finds the first one's plan if that is ready by then.
    assert len(prepared) in (1, 2)
    assert len(echo.asked) == len(answers) == 40
    assert not [answer.body for answer in answers if b"errors" in answer.body]
    assert operations._preparing == {}


async def test_a_wrong_document_is_refused_for_each_who_sends_it_at_once(
    stack: Stack, reader: Reader
) -> None:
    operations, context, _ = operations_and_context(stack, reader, compile_mutations=True)
    wrong = [f'{{ flow(where: {{ nothing: {{ _eq: "{n}" }} }}) {{ id }} }}' for n in range(5)]

    answers = await asyncio.gather(
        *(
            operations.run(Operation(query=each, variables=None, name=None), context)
            for each in wrong
        )
    )

    assert [answer.status for answer in answers] == [400] * 5
    assert operations._preparing == {}


Way = tuple[Operations, Context, Echo]


@pytest.fixture
def silence() -> Iterator[None]:
    """Nothing is printed: writing down a surprise takes longer than asking, and the store here has no database."""
    with capture_logs():
        yield


@pytest.fixture(scope="module")
def both_ways(stack: Stack, reader: Reader) -> tuple[Way, Way]:
    """graphql-core's and the compiled one, for an administrator."""
    slow, fast = (
        operations_and_context(stack, reader, compile_mutations=c, role=Role.TENANT_ADMIN)
        for c in (False, True)
    )
    return slow, fast


def _given(kind: GraphQLInputType, *, required: bool, inline: bool) -> Any:
    """A value for an input: all of its fields or the required ones, for a variable or to be written in the document."""
    if isinstance(kind, GraphQLNonNull):
        return _given(kind.of_type, required=required, inline=inline)
    if isinstance(kind, GraphQLList):
        return [_given(kind.of_type, required=required, inline=inline)]
    if isinstance(kind, GraphQLInputObjectType):
        return {
            name: _given(field.type, required=required, inline=inline)
            for name, field in kind.fields.items()
            if not required or isinstance(field.type, GraphQLNonNull)
        }
    if isinstance(kind, GraphQLEnumType):
        return Word(next(iter(kind.values))) if inline else next(iter(kind.values))
    document = {"type": "Running"}
    return {
        "JSON": orjson.dumps(document).decode() if inline else document,
        "UUID": RUN, "DateTime": "2026-11-22T05:40:30+00:00", "Int": 3, "Float": 1.5, "Boolean": True,
    }.get(kind.name, "text")  # fmt: skip


@pytest.mark.usefixtures("silence")
@pytest.mark.parametrize(
    "name", sorted(name for one in REGISTRY for name in (one.snake, one.camel) if name)
)
async def test_every_mutation_is_answered_alike_with_all_its_fields_or_few(
    both_ways: tuple[Way, Way], name: str
) -> None:
    (slow, slow_context, slow_echo), (fast, fast_context, fast_echo) = both_ways
    schema, _ = the_schema()
    assert schema.mutation_type is not None
    field = schema.mutation_type.fields[name]
    kind, payload = field.args["input"].type, get_named_type(field.type)
    assert isinstance(payload, GraphQLObjectType)
    leaves = [key for key, one in payload.fields.items() if is_leaf_type(get_named_type(one.type))]
    selected = " ".join(["__typename", *leaves])
    by_variable = f"mutation($input: {kind}) {{ {name}(input: $input) {{ {selected} }} }}"
    inline = literal(_given(kind, required=False, inline=True))
    asked: list[tuple[str, Any]] = [
        (by_variable, {"input": _given(kind, required=True, inline=False)}),
        (by_variable, {"input": _given(kind, required=False, inline=False)}),
        (f"mutation {{ {name}(input: {inline}) {{ {selected} }} }}", None),
    ]

    for document, variables in asked:
        operation = Operation(query=document, variables=variables, name=None)
        slow_echo.asked.clear()
        fast_echo.asked.clear()
        # Each is a request of its own, with the budget of one.
        expected = await slow.run(operation, replace(slow_context, budget=Budget()))
        first = await fast.run(operation, replace(fast_context, budget=Budget()))
        again = await fast.run(operation, replace(fast_context, budget=Budget()))

        assert _comparable(first.body) == _comparable(again.body) == _comparable(expected.body)
        assert first.status == again.status == expected.status
        assert fast_echo.asked == slow_echo.asked * 2


def _comparable(body: bytes) -> Any:
    """Without the places in the text, which the compiled path no longer knows."""
    answer = orjson.loads(body)
    for error in answer.get("errors", ()):
        error.pop("locations", None)
    return answer


async def test_a_plan_serves_documents_that_differ_in_their_literals_only(
    stack: Stack, reader: Reader
) -> None:
    fast, context, echo = operations_and_context(stack, reader, compile_mutations=True)
    document = 'mutation {{ cancel_flow_run(input: {{ flow_run_id: "{}" }}) {{ id }} }}'

    answers = [
        orjson.loads((await fast.run(Operation(document.format(run), None, None), context)).body)
        for run in (RUN, OTHER, RUN)
    ]

    assert [a["data"]["cancel_flow_run"]["id"] for a in answers] == [RUN, OTHER, RUN]
    assert len(fast.plans) == 1
    assert len(echo.asked) == 3
