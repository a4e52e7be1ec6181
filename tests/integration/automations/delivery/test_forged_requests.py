"""Nobody makes us call what only we can reach: not by an address, a name, a redirect, nor by changing a name."""

from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address

import pytest

from libs.contracts.deliveries import TestAction
from services.automations.app import Automations
from services.gateway.app import Gateway
from tests.support.delivering import World, delivering_on
from tests.support.engines import Stack
from tests.support.owed import a_tenant, an_action, owe
from tests.support.receivers import receiver
from tests.support.running import running

SPELLINGS = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]",
             "[::ffff:127.0.0.1]", str(IPv4Address(0)), "[::]"]  # fmt: skip
ELSEWHERE = ["169.254.169.254", "[fd00:ec2::254]", "100.64.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]",
             "10.0.0.1", "[fe80::1]", "224.0.0.1"]  # fmt: skip


@pytest.fixture(scope="module")
async def strict(stack: Stack, gateway: Gateway) -> AsyncIterator[Automations]:
    """A service whose operator allows nothing."""
    async with running(delivering_on(stack, allowed_networks=""), ticks=False) as service:
        yield service


@pytest.fixture
async def guarded(stack: Stack, strict: Automations) -> AsyncIterator[World]:
    await stack.admin_pool.execute("TRUNCATE automations.delivery, automations.receiver CASCADE")
    async with receiver() as made:
        yield World(
            stack=stack, service=strict, receiver=made, tenant=await a_tenant(stack.admin_pool)
        )


@pytest.mark.parametrize("host", SPELLINGS + ELSEWHERE)
async def test_an_address_that_only_we_can_reach_is_refused_in_a_test_as_in_a_delivery(
    guarded: World, host: str
) -> None:
    url = f"http://{host}:{guarded.receiver.port}/"
    action = await an_action(guarded.pool, guarded.tenant, {"url": url})
    delivery = await owe(guarded.pool, guarded.tenant, action_id=action)

    await guarded.deliver()
    tested = await guarded.service.deliveries.trials.test_action(
        TestAction(tenant_id=guarded.tenant, action_id=action)
    )

    assert guarded.receiver.received == []
    row = await guarded.delivery(delivery)
    assert row["status"] == "failed"
    assert "HEADWATER_DELIVERY_ALLOWED_NETWORKS" in row["last_error"]
    assert not tested.succeeded
    assert tested.error == row["last_error"]


async def test_an_allowed_network_passes_and_a_redirect_out_of_it_is_not_followed(
    world: World,
) -> None:
    async with receiver() as inside:
        world.receiver.answer(302, location=inside.url)
        action = await an_action(world.pool, world.tenant, {"url": world.receiver.url})
        await owe(world.pool, world.tenant, action_id=action)

        await world.deliver()

        assert len(world.receiver.received) == 1
        assert inside.received == []


def names(*answers: list[str]) -> Callable[[str, int], list[str]]:
    """A name server that says something else each time; the last answer stays."""
    left = list(answers)

    def look_up(_host: str, _port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return look_up


@pytest.mark.parametrize(
    "second", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::ffff:169.254.169.254"]]
)
async def test_a_name_that_changes_is_looked_at_anew_at_each_try_and_called_where_it_was_checked(
    world: World, monkeypatch: pytest.MonkeyPatch, second: list[str]
) -> None:
    resolver = world.service.deliveries.resolver
    monkeypatch.setattr(resolver, "_names", names(["127.0.0.1"], second))
    url = f"http://hooks.example.com:{world.receiver.port}/"
    action = await an_action(world.pool, world.tenant, {"url": url})
    await owe(world.pool, world.tenant, action_id=action)
    await world.deliver()
    later = await owe(world.pool, world.tenant, action_id=action)

    await world.deliver()

    [got] = world.receiver.received
    assert got.headers["host"] == f"hooks.example.com:{world.receiver.port}"
    row = await world.delivery(later)
    assert row["status"] == "failed"
    assert "not a public address" in row["last_error"]
