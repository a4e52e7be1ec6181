"""The verbs of native agents are served as those of services are: traced, timed, in turn, and in time."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from libs.contracts import agents
from libs.contracts.base import Refused, Rpc
from libs.contracts.errors import Code
from libs.runtime import metrics
from libs.runtime.bus import answering
from libs.runtime.ids import new_id
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import ledger_on, tenant_with_flow
from tests.support.otlp import collecting
from tests.support.raw_agent import raw_agent

VERBS = (agents.HELLO, agents.CLAIM, agents.RENEW, agents.REPORT, agents.DRAIN)
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_these_are_all_verbs_of_agents() -> None:
    assert set(VERBS) == {each for each in vars(agents).values() if isinstance(each, Rpc)}


def counted(verb: str, outcome: str) -> float:
    """How many requests of the verb have been timed."""
    found = metrics.REQUEST_SECONDS.labels("runs", verb, outcome)
    return float(sum(bucket.get() for bucket in found._buckets))


async def test_a_request_of_an_agent_is_timed_and_goes_on_in_its_trace(stack: Stack) -> None:
    flow = await tenant_with_flow(stack.admin_pool)
    names = [verb.subject.template.rpartition(".")[2] for verb in VERBS]
    before = {name: counted(name, "invalid") for name in names}
    with collecting() as collector:
        async with (
            ledger_on(stack, traces=collector.url),
            raw_agent(stack.nats_url, flow.tenant_id) as agent,
        ):
            for verb in VERBS:
                await agent.client.request(
                    verb.subject.at(tenant_id=flow.tenant_id),
                    b"{}",
                    timeout=10,
                    headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
                )
        # The ledger has stopped, and has sent what it had to tell.
        spans = {
            verb.subject.template: [
                (span.trace_id, span.parent_id, span.attributes[answering.OUTCOME])
                for span in collector.named("runs", f"handle {verb.subject.template}")
            ]
            for verb in VERBS
        }

    assert spans == {verb.subject.template: [(TRACE, CALLER, "invalid")] for verb in VERBS}
    assert {name: counted(name, "invalid") - before[name] for name in names} == dict.fromkeys(
        names, 1
    )


@pytest.mark.parametrize(
    ("verb", "table", "request_"),
    [
        (
            agents.HELLO,
            "agent",
            {
                "protocols": [1],
                "session": str(new_id()),
                "name": "raw",
                "labels": [],
                "capacity": 1,
                "version": "test",
            },
        ),
        (
            agents.REPORT,
            "flow_run",
            {
                "session": str(new_id()),
                "agent_id": str(new_id()),
                "flow_run_id": str(new_id()),
                "lease_token": str(new_id()),
                "outcome": "exited",
            },
        ),
    ],
)
async def test_an_agent_that_cannot_be_answered_in_time_is_told_so(
    stack: Stack, verb: Rpc[Any, Any], table: str, request_: dict[str, Any]
) -> None:
    flow = await tenant_with_flow(stack.admin_pool)
    async with (
        ledger_on(stack, rpc_timeout=timedelta(seconds=0.5)) as ledger,
        raw_agent(stack.nats_url, flow.tenant_id) as agent,
        stack.admin_pool.acquire() as connection,
        connection.transaction(),
    ):
        await connection.execute(f"LOCK TABLE runs.{table} IN ACCESS EXCLUSIVE MODE")

        late = await agent.client.request(
            verb.subject.at(tenant_id=flow.tenant_id), orjson.dumps(request_), timeout=20
        )

        assert Refused.model_validate_json(late.data).code is Code.UNAVAILABLE
        await eventually(lambda: not ledger.bus.in_flight)


async def test_agents_that_come_while_too_many_wait_are_told_to_try_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "_WORKERS", 1)
    monkeypatch.setattr(answering, "_WAITING", 1)
    flow = await tenant_with_flow(stack.admin_pool)
    hello = agents.Hello(
        protocols=[1], session=new_id(), name="raw", labels=[], capacity=1, version="test"
    )
    async with (
        ledger_on(stack, rpc_timeout=timedelta(seconds=20)) as ledger,
        raw_agent(stack.nats_url, flow.tenant_id) as agent,
    ):
        async with stack.admin_pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE runs.agent IN ACCESS EXCLUSIVE MODE")
            subject = agents.HELLO.subject.at(tenant_id=flow.tenant_id)
            for _ in range(2):
                await agent.client.publish(
                    subject, hello.model_dump_json().encode(), reply=agent.client.new_inbox()
                )
            await agent.client.flush()
            await eventually(lambda: ledger.bus.in_flight == 2)

            refused = await agent.hello()

        assert isinstance(refused, Refused)
        assert refused.code is Code.BUSY
        await eventually(lambda: not ledger.bus.in_flight)
