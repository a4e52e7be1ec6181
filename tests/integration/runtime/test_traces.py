"""OpenTelemetry traces through three processes: one story from HTTP to SQL and on to an event, and no secret in it."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import httpx
import pytest

from libs.runtime.ids import new_id
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Flow, register_flow
from tests.support.otlp import Collector, collecting
from tests.support.ports import free_port
from tests.support.service_process import (
    ServiceProcess,
    gateway_process,
    listens,
    service_process,
)

KEY = "a-key-that-must-not-be-seen"
SECRET = "whisper-1"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
ARCHIVED_TRACE = "1af7651916cd43dd8448eb211c80319c"

CREATE = """
mutation Start($parameters: JSON, $key: String, $flow: UUID!) {
  create_flow_run(input: {flow_id: $flow, parameters: $parameters, idempotency_key: $key, flow_run_name: "whisper-1"}) {
    id
  }
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the collector heard of the story, and what was in it that it must not have heard."""

    collector: Collector
    flow: Flow
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
async def told(stack: Stack) -> AsyncIterator[Told]:
    """The story: a run is made and read with secrets wherever there is room for one, and its flow archived."""
    lease = new_id()
    with collecting() as collector:
        on = {"HEADWATER_TRACES": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        async with AsyncExitStack() as processes:
            ports = {name: free_port() for name in ("runs", "registry")}
            behind = [
                await processes.enter_async_context(
                    service_process(stack, name, on | {"HEADWATER_HEALTH_PORT": str(port)})
                )
                for name, port in ports.items()
            ]
            for port in ports.values():
                # The last thing that a service does at its start: it answers requests by then.
                await eventually(partial(listens, port), timeout=60)
            keyed = {"HEADWATER_AUTH": "required", "HEADWATER_BOOTSTRAP_KEY": KEY}
            gateway, url = await processes.enter_async_context(gateway_process(stack, on | keyed))
            tenant = await stack.admin_pool.fetchval("SELECT id FROM gateway.tenant")
            flow = await register_flow(stack.admin_pool, tenant_id=tenant)
            async with httpx.AsyncClient(
                base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30
            ) as http:
                await tell(http, flow, lease)
            await eventually(
                lambda: collector.named("runs", "consume runs__flows_archived"), timeout=60
            )
            await ended_politely(gateway, *behind)
        yield Told(
            collector=collector, flow=flow, secrets=(KEY, SECRET, str(lease), str(flow.tenant_id))
        )


async def tell(http: httpx.AsyncClient, flow: Flow, lease: UUID) -> None:
    """The requests of the story."""
    variables = {"flow": str(flow.id), "parameters": {"password": SECRET}, "key": SECRET}
    answer = await http.post(
        f"/lease/{new_id()}/{lease}/graphql",
        json={"query": CREATE, "variables": variables},
        headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
    )
    assert answer.json().get("errors") is None, answer.text
    await http.post(
        "/",
        json={"query": '{ flow_run(where: {name: {_eq: "whisper-1"}}) { id name parameters } }'},
        headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
    )
    wrong = await http.post(
        "/",
        json={"query": '{ flow_run(where: {name: {_regex: "whisper-1("}}) { id } }'},
        headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
    )
    assert "errors" in wrong.json()
    archived = await http.post(
        "/graphql",
        json={
            "query": f'mutation {{ archive_flow(input: {{flow_id: "{flow.id}"}}) {{ success }} }}'
        },
        headers={"traceparent": f"00-{ARCHIVED_TRACE}-{CALLER}-01"},
    )
    assert archived.json().get("errors") is None, archived.text


async def ended_politely(*processes: ServiceProcess) -> None:
    for process in processes:
        assert process.process is not None
        process.process.send_signal(signal.SIGTERM)
    assert [await process.ended() for process in processes] == [0] * len(processes)


def test_one_trace_leads_from_the_callers_span_through_nats_into_the_ledgers_sql(
    told: Told,
) -> None:
    [statement] = [
        s for s in told.collector.named("runs", "ledger/insert_flow_runs") if s.trace_id == TRACE
    ]

    chain = told.collector.above(statement)

    assert [(s.service.removeprefix("headwater-"), s.name) for s in chain] == [
        ("runs", "group commit"),
        ("runs", "handle hw.rpc.runs.create_flow_run"),
        ("gateway", "request hw.rpc.runs.create_flow_run"),
        ("gateway", "graphql mutation Start"),
        ("gateway", "POST /lease/{flow_run_id}/{lease_token}/graphql"),
    ]
    assert chain[-1].parent_id == CALLER


def test_a_group_commit_is_linked_to_the_commands_it_carries(told: Told) -> None:
    [commit] = [s for s in told.collector.named("runs", "group commit") if s.trace_id == TRACE]
    [handled] = told.collector.named("runs", "handle hw.rpc.runs.create_flow_run")

    assert commit.links == (handled.span_id,)
    assert commit.attributes["headwater.commands"] == 1


def test_a_read_is_traced_into_the_gateways_own_sql(told: Told) -> None:
    reads = [
        [above.name for above in told.collector.above(s)]
        for s in told.collector.named("gateway", "SELECT runs.flow_run")
    ]

    assert ["graphql query flow_run", "POST /"] in reads


def test_the_consumer_of_an_event_continues_the_trace_of_its_cause(told: Told) -> None:
    [consumed] = told.collector.named("runs", "consume runs__flows_archived")

    chain = told.collector.above(consumed)

    assert consumed.trace_id == ARCHIVED_TRACE
    assert [s.name for s in chain] == [
        "handle hw.rpc.registry.archive_flow",
        "request hw.rpc.registry.archive_flow",
        "graphql mutation archive_flow",
        "POST /graphql",
    ]
    below = [s.name for s in told.collector.spans if s.parent_id == consumed.span_id]
    assert below != []


def test_a_failing_statement_is_marked_by_the_class_of_its_error(told: Told) -> None:
    marked = {
        s.attributes["error.type"] for s in told.collector.spans if "error.type" in s.attributes
    }

    assert marked == {"InvalidRegularExpressionError"}


def test_no_parameter_and_no_secret_is_in_any_span(told: Told) -> None:
    everything = "\n".join(span.text for span in told.collector.spans)

    assert len(told.collector.spans) > 20
    assert [secret for secret in told.secrets if secret in everything] == []
    assert "postgresql://" not in everything


def test_what_loops_do_by_themselves_is_no_trace(told: Told) -> None:
    roots = {s.name.split(" ", 1)[0] for s in told.collector.spans if s.parent_id == ""}

    assert roots <= {"consume"}


def test_a_service_without_a_collector_imports_nothing_of_opentelemetry() -> None:
    program = (
        "import sys, services.gateway.app, services.runs.app, services.registry.app\n"
        "from libs.runtime import trace\n"
        "assert trace.start('runs', None) is None and trace.current() is None\n"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry.')))"
    )

    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=180
    )

    assert "sdk" not in done.stdout
    assert "exporter" not in done.stdout
