"""Who may no longer ask does not go on listening: event streams and sockets end on every gateway.

Two gateways, an event stream and a socket on each. One ends the session or the key; the other is told by a signal, and
finds out by itself where the signal is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

import services.gateway.app
from services.gateway.app import Gateway
from services.gateway.identity import TRUST
from services.gateway.settings import GatewaySettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.running import running
from tests.support.services import PEPPER, all_services
from tests.support.streaming import FIRST, a_key
from tests.support.subscriber import PATIENCE, closing, hear, say, socket_at

RUNS = "subscription { flow_run_events { status } }"


@dataclass(frozen=True, slots=True)
class World:
    """Two gateways of one Headwater."""

    first: Gateway
    other: Gateway

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{each.port}" for each in (self.first, self.other)]


@asynccontextmanager
async def two_gateways(stack: Stack, *, held: Collection[str] = ()) -> AsyncIterator[World]:
    """Both look at their listeners' keys by themselves, unless the loop that does it is held."""
    settings = GatewaySettings(
        postgres_url=stack.postgres_url("gateway"),
        reader_postgres_url=stack.postgres_url("reader"),
        nats_url=stack.nats_url,
        auth="required",
        key_pepper=SecretStr(PEPPER),
        port=0,
    )
    async with (
        all_services(stack, held=held, auth="required", bootstrap_key=FIRST) as first,
        running(services.gateway.app.build(settings), held=held) as other,
    ):

        async def both_read() -> bool:
            for gateway in (first, other) if held else ():
                await gateway._push.tick()
            return first._push.hub._stale is other._push.hub._stale is None

        await eventually(both_read, timeout=30)
        yield World(first, other)


@pytest.fixture(scope="module")
async def by_signal(stack: Stack) -> AsyncIterator[World]:
    """Gateways that never look by themselves: what ends within a test was told by a signal."""
    async with two_gateways(stack, held={"events"}) as world:
        yield world


@asynccontextmanager
async def listening(
    world: World, shown: dict[str, str], *, init: dict[str, str]
) -> AsyncIterator[Any]:
    """An event stream and a socket on each gateway; yields a function that waits for the ends of all four."""
    async with AsyncExitStack() as exits:
        ends: list[Callable[[], Awaitable[Any]]] = []
        for url in world.urls:
            client = await exits.enter_async_context(
                httpx.AsyncClient(base_url=url, timeout=PATIENCE)
            )
            stream = await exits.enter_async_context(client.stream("GET", "/events", headers=shown))
            lines = stream.aiter_lines()
            async for line in lines:
                if line == "event: open":
                    break
            socket = await exits.enter_async_context(
                socket_at(url, init=init, origin=url, additional_headers=shown)
            )
            await say(socket, type="subscribe", id="1", payload={"query": RUNS})
            assert (await hear(socket))["type"] == "next"
            ends += [partial(_end_of, lines), partial(closing, socket)]

        async def ended() -> list[Any]:
            async with asyncio.timeout(PATIENCE):
                return list(await asyncio.gather(*(end() for end in ends)))

        yield ended


async def _end_of(lines: AsyncIterator[str]) -> str:
    """The last message of a stream that ends."""
    return " ".join([line async for line in lines if line.startswith("data:")][-1:])


def say_why(ends: list[Any]) -> tuple[list[bool], list[int]]:
    """Whether each stream said that its caller is unknown, and the code of each socket."""
    streams, sockets = ends[::2], ends[1::2]
    return ["unauthenticated" in said for said in streams], [code for code, _ in sockets]


async def revoke(world: World, key_id: str) -> None:
    async with Gql(world.urls[0], headers={"authorization": f"Bearer {FIRST}"}) as admin:
        done = await admin(
            "mutation($i: UUID!) { delete_api_key(input: {key_id: $i}) { success } }", i=key_id
        )
    assert done["delete_api_key"]["success"]


async def make_key(world: World) -> tuple[str, str]:
    async with Gql(world.urls[0], headers={"authorization": f"Bearer {FIRST}"}) as admin:
        return await a_key(admin)


@asynccontextmanager
async def browser_of(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A page that has logged in on the first gateway. The other gateway has the same address behind a proxy."""
    url = world.urls[0]
    headers = {"origin": url, "x-headwater": "1", "sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE) as browser:
        assert (await browser.post("/session", json={"key": FIRST})).status_code == 200
        yield browser


async def test_a_revoked_key_ends_what_listens_with_it_on_every_gateway_at_once(
    by_signal: World,
) -> None:
    id_, key = await make_key(by_signal)
    shown = {"authorization": f"Bearer {key}"}

    async with listening(by_signal, shown, init=shown) as ended:
        await revoke(by_signal, id_)
        ends = await ended()

    assert say_why(ends) == ([True, True], [4403, 4403])


async def test_a_log_out_ends_what_the_page_listens_to_on_every_gateway_at_once(
    by_signal: World,
) -> None:
    async with browser_of(by_signal) as browser:
        cookie = {"cookie": "; ".join(f"{each.name}={each.value}" for each in browser.cookies.jar)}

        async with listening(by_signal, cookie, init={}) as ended:
            await browser.delete("/session")
            ends = await ended()

    assert say_why(ends) == ([True, True], [4403, 4403])


async def test_a_log_out_leaves_alone_who_listens_with_another_session_or_the_key_itself(
    by_signal: World,
) -> None:
    async with browser_of(by_signal) as browser, browser_of(by_signal) as another:
        cookie = {"cookie": "; ".join(f"{each.name}={each.value}" for each in another.cookies.jar)}
        shown = {"authorization": f"Bearer {FIRST}"}
        before = {*by_signal.first._push.hub.streams, *by_signal.other._push.hub.streams}

        async with listening(by_signal, cookie, init={}), listening(by_signal, shown, init=shown):
            opened = {
                *by_signal.first._push.hub.streams,
                *by_signal.other._push.hub.streams,
            } - before
            await browser.delete("/session")
            # What the signal does, once more and after it: whoever had to go is gone now.
            for gateway in (by_signal.first, by_signal.other):
                await gateway._push.check_keys()
            ends = [stream.ended for stream in opened]

    assert ends == [None] * 8


async def test_a_gateway_that_missed_the_signal_looks_within_the_second(stack: Stack) -> None:
    looks_every = GatewaySettings.model_fields["event_tick"].default
    assert looks_every < TRUST == timedelta(seconds=1)
    async with two_gateways(stack) as world:
        id_, key = await make_key(world)
        shown = {"authorization": f"Bearer {key}"}

        async with listening(world, shown, init=shown) as ended:
            # The row alone: nobody is told.
            tenant_id = await stack.admin_pool.fetchval(
                "SELECT tenant_id FROM gateway.api_key WHERE id = $1", UUID(id_)
            )
            await world.first._store.revoke_key(tenant_id, UUID(id_))
            ends = await ended()

    assert say_why(ends) == ([True, True], [4403, 4403])
