"""What an agent may ask for and hand over: outside of it there is a refusal that names the field."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from nats.aio.msg import Msg
from nats.js.errors import APIError

from libs.contracts import agents, subjects
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.ids import new_id
from services.runs.app import Runs
from tests.support.engines import Stack
from tests.support.ledger import Client, Flow, bus_on, ledger_on, tenant_with_flow
from tests.support.raw_agent import RawAgent, raw_agent

AT = "2026-11-22T08:30:31Z"


@pytest.fixture(scope="module")
async def ledger(stack: Stack) -> AsyncIterator[Runs]:
    async with ledger_on(stack) as found:
        yield found


@pytest.fixture
async def flow(stack: Stack, ledger: Runs) -> Flow:
    return await tenant_with_flow(stack.admin_pool)


@pytest.fixture
async def agent(stack: Stack, flow: Flow) -> AsyncIterator[RawAgent]:
    async with raw_agent(stack.nats_url, flow.tenant_id) as found:
        yield found


@pytest.mark.parametrize("capacity", [-1, 0, 1001, 10**9])
async def test_a_capacity_that_no_machine_has_is_refused(agent: RawAgent, capacity: int) -> None:
    hello = await agent.hello(capacity=capacity)
    await agent.hello()
    await agent.claim(capacity=capacity)
    claim = await asyncio.wait_for(agent.claimed.get(), 20)

    refused = Refused(code=Code.INVALID, fields={"reason": "capacity: between 1 and 1000"})
    assert (hello, claim) == (refused, refused)


@pytest.mark.parametrize("wait", [-5.0, -0.001, 3600.1, 1e9])
async def test_a_wait_that_no_claim_has_is_refused(agent: RawAgent, wait: float) -> None:
    await agent.hello()
    await agent.claim(wait=wait)

    claim = await asyncio.wait_for(agent.claimed.get(), 20)

    reason = "wait: between 0 and 3600 seconds"
    assert claim == Refused(code=Code.INVALID, fields={"reason": reason})


def a_line(**fields: Any) -> dict[str, Any]:
    return {"id": str(new_id()), "timestamp": AT, "level": "INFO", "message": "said"} | fields


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lines": None}, "lines: Input should be a valid list"),
        ({"accepted": "soon"}, "accepted: Input should be a valid datetime"),
        ({"tenant_id": str(new_id())}, "the tenant is not that of the subject"),
        ({"lines": [a_line(id="no id")]}, "id: Input should be a valid UUID"),
    ],
)
async def test_a_batch_of_lines_that_is_none_is_refused_with_the_field(
    agent: RawAgent, flow: Flow, wrong: dict[str, Any], said: str
) -> None:
    body = {"tenant_id": str(flow.tenant_id), "accepted": AT, "lines": [a_line()]} | wrong
    subject = subjects.LOG.at(tenant_id=flow.tenant_id, flow_run_id=new_id())

    with pytest.raises(APIError, match=said) as refused:
        await agent.client.jetstream().publish(subject, orjson.dumps(body))

    assert refused.value.code == 400


async def test_a_batch_that_is_no_json_is_refused(agent: RawAgent, flow: Flow) -> None:
    subject = subjects.LOG.at(tenant_id=flow.tenant_id, flow_run_id=new_id())

    with pytest.raises(APIError) as refused:
        await agent.client.jetstream().publish(subject, b"no json")

    assert refused.value.code == 400


async def test_a_batch_with_one_bad_line_keeps_the_others(
    stack: Stack, agent: RawAgent, flow: Flow
) -> None:
    body = {
        "tenant_id": str(flow.tenant_id),
        "accepted": AT,
        "lines": [a_line(), a_line(id="no id")],
    }
    subject = subjects.LOG.at(tenant_id=flow.tenant_id, flow_run_id=new_id())

    kept = await agent.client.jetstream().publish(subject, orjson.dumps(body))

    assert kept.stream == "LOGS"


async def test_an_agent_is_not_told_of_runs_that_none_of_its_tenant_can_take(
    stack: Stack, ledger: Runs, agent: RawAgent, flow: Flow
) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: Msg) -> None:
        heard.put_nowait(message.data)

    await agent.hello(labels=["gpu"])
    await agent.client.subscribe(f"hw.sig.agent.{flow.tenant_id}.work_ready", cb=hear)
    await agent.client.flush()
    async with bus_on(stack) as bus:
        client = Client(bus, flow.tenant_id)
        await client.create(flow, labels=["mainframe"])
        await client.create(flow, labels=["gpu"])
        # Both are due at the look that tells of the second one.
        told = await asyncio.wait_for(heard.get(), 60)

    assert agents.WorkReady.model_validate_json(told).labels == [["gpu"]]
