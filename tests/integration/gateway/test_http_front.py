"""Who gets how far: strangers, web pages, large bodies. Keys are on in one gateway and off in the other."""

import asyncio
from collections.abc import AsyncIterator
from time import process_time

import httpx
import orjson
import pytest

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.requests import BATCH_LIMIT
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.services import all_services

FIRST = "hw_first-key-for-tests"
NESTED = b"[" + b"[]," * 5_000_000 + b"[]]"
JSON = {"content-type": "application/json"}
KEY = {"authorization": f"Bearer {FIRST}"} | JSON


@pytest.fixture(scope="module")
async def keyed(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required", bootstrap_key=FIRST) as gateway:
        yield gateway


@pytest.fixture(scope="module")
async def client(keyed: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    url = f"http://127.0.0.1:{keyed.port}"
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("body", [NESTED, b"not json", b""], ids=["nested", "no json", "nothing"])
async def test_a_stranger_is_refused_before_anything_of_the_body_is_read(
    client: httpx.AsyncClient, body: bytes
) -> None:
    answer = await client.post("/graphql", content=body, headers=JSON)

    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_the_body_of_a_stranger_costs_nearly_nothing(client: httpx.AsyncClient) -> None:
    """Parsed, it took seconds: the bound is generous, and the figure is in tests/bench/hostile.py."""
    await client.post("/graphql", json={"query": "{ hello }"})  # it is connected

    # Of the processor: on a busy machine it is others' seconds that pass.
    began = process_time()
    await asyncio.gather(*(client.post("/graphql", content=NESTED, headers=JSON) for _ in range(3)))

    assert process_time() - began < 5


async def test_more_values_than_a_body_may_have_are_refused_in_a_sentence(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/graphql", content=NESTED, headers=KEY)

    assert answer.status_code == 413
    assert "more than 200000 objects and arrays" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("headers", [KEY, JSON], ids=["key", "stranger"])
async def test_a_body_over_the_limit_is_answered_and_the_connection_serves_on(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/graphql", content=bytes(17 << 20), headers=headers)
    again = await client.post("/graphql", json={"query": "{ hello }"}, headers=KEY)

    assert answer.status_code == (413 if headers is KEY else 200)
    assert again.json() == {"data": {"hello": "👋"}}


async def test_a_large_batch_is_answered_in_order(client: httpx.AsyncClient) -> None:
    """Larger than what is parsed at once, so each goes the longer way."""
    items = [
        {"query": "{ hello }", "variables": {"x": ["x" * 1_000] * 10}}
        if number % 2
        else {"query": 7}
        for number in range(BATCH_LIMIT)
    ]

    answers = (await client.post("/graphql", json=items, headers=KEY)).json()

    assert [("errors" in answer) for answer in answers] == [True, False] * (BATCH_LIMIT // 2)


async def test_a_chunked_body_of_no_declared_length_is_taken(client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"query": "{ hello }", "variables": {"x": "'
        for _ in range(600):
            yield b"x" * 1024
        yield b'"}}'

    answer = await client.post("/graphql", content=parts(), headers=KEY)

    assert answer.json() == {"data": {"hello": "👋"}}


async def test_a_web_page_elsewhere_may_ask_where_keys_are_on_and_must_send_json(
    client: httpx.AsyncClient,
) -> None:
    page = {"origin": "https://ui.example"}
    query = b'{"query": "{ hello }"}'

    answer = await client.post("/graphql", content=query, headers=KEY | page)
    form = await client.post(
        "/graphql", content=query, headers=KEY | page | {"content-type": "text/plain"}
    )

    assert answer.json() == {"data": {"hello": "👋"}}
    assert answer.headers["access-control-allow-origin"] == "*"
    assert form.status_code == 415


async def test_with_keys_off_no_page_elsewhere_reads_or_writes_anything(stack: Stack) -> None:
    query = b'{"query": "mutation { create_api_key(input: {name: \\"x\\"}) { key } }"}'
    evil = {"origin": "https://evil.example"}
    async with all_services(stack) as gateway:
        url = f"http://127.0.0.1:{gateway.port}"
        async with httpx.AsyncClient(base_url=url, timeout=30) as client, Gql(url) as api:
            refused = [
                await client.post("/graphql", content=query, headers=evil | {"content-type": kind})
                for kind in ("text/plain", "application/json")
            ]
            refused += [
                await client.options(
                    "/graphql", headers=evil | {"access-control-request-method": "POST"}
                ),
                await client.post(
                    "/graphql", content=query, headers=JSON | {"host": "evil.example:4200"}
                ),
                await client.get("/graphql?query={hello}", headers={"host": "evil.example:4200"}),
                await client.get(
                    "/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
                ),
            ]
            ui = await client.post(
                "/graphql",
                json=[{"query": "{ hello }"}],
                headers={"origin": "http://localhost:8080", "sec-fetch-site": "cross-site"},
            )
            keys = await api("{ auth_api_key { name } }")

    assert [answer.status_code for answer in refused] == [403] * 6
    assert not any("access-control-allow-origin" in answer.headers for answer in refused)
    assert "HEADWATER_CORS_ORIGINS" in refused[0].json()["errors"][0]["message"]
    assert ui.json() == [{"data": {"hello": "👋"}}]
    assert ui.headers["access-control-allow-origin"] == "http://localhost:8080"
    assert "x" not in [key["name"] for key in keys["auth_api_key"]]


def new_documents(count: int) -> bytes:
    nonce = str(new_id()).replace("-", "")
    fields = [
        " ".join(f"a{n}_{number}_{nonce}: hello" for n in range(500)) for number in range(count)
    ]
    return orjson.dumps([{"query": f"{{{each}}}"} for each in fields])


async def test_documents_of_a_client_that_has_left_are_not_read(keyed: Gateway) -> None:
    body = new_documents(80)
    head = f"POST / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {FIRST}\r\ncontent-length: {len(body)}\r\n\r\n"
    waiting = keyed._api.off_loop._shares._waiting
    _, writer = await asyncio.open_connection("127.0.0.1", keyed.port)
    writer.write(head.encode() + body)

    async def most_wait() -> bool:
        return sum(tenant.count for tenant in waiting.tenants.values()) > 20

    assert await eventually(most_wait, timeout=30)
    writer.transport.abort()

    async def nobody_waits() -> bool:
        return not waiting.tenants

    # All of them would take longer.
    assert await eventually(nobody_waits, timeout=5)
