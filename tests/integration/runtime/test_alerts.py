"""The small form of tests/faults/test_alerts.py: a broker that is gone is alerted until it is back."""

import time

import pytest

from tests.support.alerts import Prometheus, rules
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import ledger_on
from tests.support.ports import free_port

BROKER = {"service": "runs", "dependency": "nats"}


async def test_a_broker_that_is_gone_is_alerted_within_thirty_seconds(stack: Stack) -> None:
    if stack.nats is None:
        pytest.skip("this nats-server is not ours to stop")
    port = free_port()
    prometheus = Prometheus(f"http://127.0.0.1:{port}")

    async def is_down() -> bool:
        await prometheus.scrape(time.monotonic())
        [rule] = [r for r in prometheus.rules if r.name == "HeadwaterDependencyDown"]
        return frozenset(BROKER.items()) in rule.since

    async def is_up() -> bool:
        return not await is_down()

    async with ledger_on(stack, health_port=port):
        before = await is_down()
        await stack.nats.stop()
        await eventually(is_down, timeout=10, pause=0.1)
        await stack.nats.start()
        await eventually(is_up, timeout=20, pause=0.1)

    held_for = {rule.name: rule.held_for for rule in rules()}["HeadwaterDependencyDown"]
    assert before is False
    assert 10 + held_for <= 30
