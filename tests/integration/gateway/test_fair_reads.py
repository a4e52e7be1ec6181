"""What one tenant reads decides little about how long another waits; what nobody waits for is not read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import orjson
import pytest

from services.gateway.app import Gateway
from services.gateway.keys import Key, Role, fingerprint
from services.gateway.shares import Shares
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Flow, tenant_with_flow
from tests.support.services import all_services

SLOW = "{ project { id } }"
"""It waits for whoever has locked the table."""
QUICK = "{ flow { id } }"
READING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headwater-gateway-reads'"
    " AND state = 'active' AND datname = current_database()"
)
MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Tenants:
    """A gateway and two tenants of it, as their clients see it."""

    gateway: Gateway
    first: httpx.AsyncClient
    second: httpx.AsyncClient
    flow: Flow
    """Of the first."""


@pytest.fixture(scope="module")
async def tenants(stack: Stack) -> AsyncIterator[Tenants]:
    async with AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(
            all_services(stack, auth="required", answer_limit=8 * MEGABYTE)
        )
        clients, flows = [], []
        for _ in range(2):
            flow = await tenant_with_flow(stack.admin_pool)
            key = await make_key(gateway, flow.tenant_id)
            client = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{gateway.port}",
                headers={"authorization": f"Bearer {key}"},
                timeout=60,
                limits=httpx.Limits(max_connections=None),
            )
            clients.append(await exits.enter_async_context(client))
            flows.append(flow)
        yield Tenants(gateway, clients[0], clients[1], flows[0])


async def make_key(gateway: Gateway, tenant_id: UUID) -> str:
    text = f"hw_{gateway.ids()}"
    key = Key(
        id=gateway.ids(),
        tenant_id=tenant_id,
        user_id=gateway.ids(),
        name="reader",
        role=Role.USER,
        expires_at=None,
    )
    await gateway._store.create_key(
        key, fingerprint(text, gateway._settings.pepper), created_by=None
    )
    return text


@asynccontextmanager
async def locked(stack: Stack) -> AsyncIterator[None]:
    """Reads of projects wait as long as this is held."""
    async with stack.admin_pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE registry.project IN ACCESS EXCLUSIVE MODE")
        yield


async def ask(client: httpx.AsyncClient, query: str, **headers: str) -> httpx.Response:
    return await client.post("/graphql", json={"query": query}, headers=headers)


async def reads(stack: Stack, count: int) -> bool:
    """Whether PostgreSQL works at so many."""
    return bool(await stack.admin_pool.fetchval(READING) == count)


def used(shares: Shares) -> int:
    return shares._used


async def test_a_tenant_with_many_slow_reads_leaves_connections_to_others(
    stack: Stack, tenants: Tenants
) -> None:
    reader = tenants.gateway._reads.reader
    async with locked(stack):
        slow = [asyncio.ensure_future(ask(tenants.first, SLOW)) for _ in range(20)]
        await eventually(lambda: used(reader._connections) == 5)

        async with asyncio.timeout(9):
            answer = await ask(tenants.second, QUICK)

    assert len(answer.json()["data"]["flow"]) == 1
    ended = await asyncio.gather(*slow)
    assert all("data" in answer.json() for answer in ended)
    await eventually(lambda: used(reader._connections) == 0)


async def test_a_batch_of_slow_reads_does_neither(stack: Stack, tenants: Tenants) -> None:
    async with locked(stack):
        batch = [{"query": SLOW}] * 100
        slow = asyncio.ensure_future(tenants.first.post("/graphql", json=batch))
        await eventually(lambda: used(tenants.gateway._reads.reader._connections) == 5)

        async with asyncio.timeout(9):
            answer = await ask(tenants.second, QUICK)

    assert len(answer.json()["data"]["flow"]) == 1
    assert len((await slow).json()) == 100


async def test_a_read_that_nobody_waits_for_any_more_is_cancelled(
    stack: Stack, tenants: Tenants
) -> None:
    reader = tenants.gateway._reads.reader
    async with locked(stack):
        batch = [{"query": SLOW}] * 30
        left = [
            asyncio.ensure_future(ask(tenants.first, SLOW)),
            asyncio.ensure_future(tenants.first.post("/graphql", json=batch)),
        ]
        await eventually(lambda: used(reader._connections) == 5)
        await eventually(lambda: reads(stack, 5))

        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

        await eventually(lambda: reads(stack, 0), timeout=8)
        await eventually(lambda: used(reader._connections) == 0, timeout=8)
    assert (await ask(tenants.first, SLOW)).json()["data"]["project"]


async def test_who_has_their_share_is_told_to_ask_again_in_their_own_form(
    stack: Stack, tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Core sleeps three minutes on a 429, or fails; on API_ERROR it asks again within seconds."""
    monkeypatch.setattr(tenants.gateway._reads.reader._connections, "_patience", 0.1)
    async with locked(stack):
        slow = [asyncio.ensure_future(ask(tenants.first, SLOW)) for _ in range(5)]
        await eventually(lambda: used(tenants.gateway._reads.reader._connections) == 5)

        script = await ask(tenants.first, QUICK)
        core = await ask(tenants.first, QUICK, **{"x-prefect-core-version": "1.4.1"})
        batch = await tenants.first.post("/graphql", json=[{"query": QUICK}] * 2)

    await asyncio.gather(*slow)
    assert (script.status_code, script.headers["retry-after"]) == (429, "1")
    assert (core.status_code, batch.status_code) == (200, 200)
    error = core.json()["errors"][0]
    assert error["extensions"]["code"] == "API_ERROR"
    assert error["message"] == (
        "Too many requests of this tenant wait for their reads to end; try again soon."
    )
    assert [answer["errors"][0] for answer in batch.json()] == [error] * 2


@pytest.mark.parametrize(
    ("operator", "places", "sentence"),
    [
        ("_regex", 1, "A query with a regular expression may take 2 s;"),
        ("_nsimilar", 1, "A query with a regular expression may take 2 s;"),
        ("_ilike", 2, "A query with _like or _ilike may take 5 s;"),
        ("_nlike", 2, "A query with _like or _ilike may take 5 s;"),
    ],
)
async def test_a_pattern_has_some_seconds_and_few_places(
    stack: Stack, tenants: Tenants, operator: str, places: int, sentence: str
) -> None:
    pattern = f'{{ project(where: {{name: {{{operator}: "x"}}}}) {{ id }} }}'
    async with locked(stack):
        asked = [asyncio.ensure_future(ask(tenants.first, pattern)) for _ in range(places + 1)]
        await eventually(lambda: reads(stack, places))
        assert used(tenants.gateway._reads.reader._connections) == places
        answers = await asyncio.gather(*asked)

    for answer in answers:
        [error] = answer.json()["errors"]
        assert error["message"].startswith(sentence)
        assert error["extensions"]["code"] == "STATEMENT_TIMEOUT"


async def fill(stack: Stack, flow: Flow, megabytes: int) -> None:
    """Give the flow so much to answer."""
    await stack.admin_pool.execute(
        "UPDATE registry.flow SET description = repeat('x', $2) WHERE id = $1",
        flow.id,
        megabytes * MEGABYTE,
    )


async def test_an_answer_that_is_large_comes_whole(stack: Stack, tenants: Tenants) -> None:
    await fill(stack, tenants.flow, 6)

    answer = await ask(tenants.first, "{ flow { description } project { id } }")

    assert answer.json()["data"]["flow"][0]["description"] == "x" * 6 * MEGABYTE
    reader = tenants.gateway._reads.reader
    await eventually(lambda: used(reader._answers) == 0)


@pytest.mark.parametrize("megabytes", [3, 5, 9])
async def test_the_answers_of_one_request_have_so_many_bytes_and_no_more(
    stack: Stack, tenants: Tenants, megabytes: int
) -> None:
    """More of them than fit: in a document, in a batch, or one alone."""
    await fill(stack, tenants.flow, megabytes)
    fields = " ".join(f"f{number}: flow {{ description }}" for number in range(5))

    answer = await ask(tenants.first, f"{{ {fields} }}")
    batch = await tenants.first.post("/graphql", json=[{"query": "{ flow { description } }"}] * 5)

    message = "The answer to one request may have 8388608 bytes (HEADWATER_ANSWER_LIMIT);"
    # The operations of a batch are read at the same time, so any of them may be the one too many.
    refused = [item for item in batch.json() if "errors" in item]
    for errors in (answer.json()["errors"], *(item["errors"] for item in refused)):
        assert errors[0]["message"].startswith(message)
        assert errors[0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert len(batch.json()) - len(refused) == 8 // megabytes
    await eventually(lambda: used(tenants.gateway._reads.reader._answers) == 0)


async def test_answers_that_are_not_taken_have_a_share_of_their_tenants_own(
    stack: Stack, tenants: Tenants
) -> None:
    await fill(stack, tenants.flow, 7)
    reader = tenants.gateway._reads.reader
    request = orjson.dumps({"query": "{ flow { description } }"})
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: {tenants.first.headers['authorization']}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(request)}\r\n\r\n"
    ).encode()
    streams = []
    async with AsyncExitStack() as held:
        for _ in range(6):
            # The kernel must not take it all for the client.
            accepted = socket.socket()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            accepted.connect(("127.0.0.1", tenants.gateway.port))
            streams.append(await asyncio.open_connection(sock=accepted, limit=1024))
            writer = streams[-1][1]
            held.callback(writer.transport.abort)
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # not in the stubs
            writer.write(head + request)
        await eventually(lambda: used(reader._answers) >= 14 * MEGABYTE)

        answer = await ask(tenants.second, QUICK)

        assert len(answer.json()["data"]["flow"]) == 1
        assert used(reader._answers) <= 16 * MEGABYTE

    await eventually(lambda: used(reader._answers) == 0)
    await eventually(lambda: used(reader._connections) == 0)
