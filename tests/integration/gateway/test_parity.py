"""The compiled path of a mutation answers what graphql-core answers, whatever the document looks like."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import pytest
from pydantic import SecretStr

from libs.contracts import runs
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.runtime.clock import utc_now
from libs.runtime.database import Database
from libs.runtime.ids import new_id
from services.gateway.context import Context, Shared
from services.gateway.graphql.schema import build_schema
from services.gateway.identity import Identity, OpenDoor, Tenants
from services.gateway.keys import Role
from services.gateway.operations import Operation, Operations
from services.gateway.reads import Reader
from services.gateway.rows import Rows
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.tokens import Seal
from services.gateway.vault import Vault
from tests.support.engines import Stack

RUN = "0190a0a0-0000-7000-8000-000000000001"
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

    async def call(self, rpc: Any, request: Any) -> Any:
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
        return Applied(id=UUID(int=7))

    async def publish(self, *_args: Any, **_options: Any) -> None:
        return None

    def trace_headers(self) -> None:
        return None


@pytest.fixture(scope="module")
async def reader(stack: Stack) -> AsyncIterator[Reader]:
    reader = Reader(stack.postgres_url("reader"), pool_size=1)
    await reader.connect()
    yield reader
    await reader.close()


def operations_and_context(
    stack: Stack, reader: Reader, *, compile_mutations: bool
) -> tuple[Operations, Context, Echo]:
    settings = GatewaySettings(
        postgres_url=stack.postgres_url("gateway"),
        nats_url=stack.nats_url,
        reader_postgres_url=stack.postgres_url("reader"),
        auth="off",
        key_pepper=SecretStr("a pepper for tests"),
    )
    schema, reads = build_schema(lambda _table, _attribute: lambda _payload, _info: None)
    database = Database(stack.postgres_url("reader"), pool_size=1, name="test")
    store = Store(database)
    tenants = Tenants(store)
    echo = Echo()
    seal = Seal(b"pepper")
    shared = Shared(
        door=OpenDoor(tenants, seal=seal, clock=utc_now),
        pepper=b"",
        bus=echo,  # type: ignore[arg-type] # stands for it
        clock=utc_now,
        ids=new_id,
        settings=settings,
        store=store,
        tenants=tenants,
        rows=Rows(reads, reader, database),
        vault=Vault(b"pepper"),
        seal=seal,
    )
    context = Context(
        shared=shared,
        identity=Identity(tenant_id=UUID(int=1), any_tenant=False, role=Role.USER),
    )
    operations = Operations(
        schema, reads, reader, cache_size=100, ids=new_id, compile_mutations=compile_mutations
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
    assert len(fast._plans) == 1
    assert len(echo.asked) == 3
