"""A browser's session, over HTTP on real engines."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

import services.gateway.app
from services.gateway.app import Gateway
from services.gateway.settings import GatewaySettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.running import running
from tests.support.services import PEPPER, all_services

FIRST = "hw_first-key-for-tests"
QUERY = {"query": "{ auth_info { role } }"}


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, auth="required", bootstrap_key=FIRST) as gateway:
        yield gateway


@pytest.fixture
async def browser(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A page of the gateway's own, which keeps cookies."""
    url = f"http://127.0.0.1:{gateway.port}"
    headers = {"origin": url, "x-headwater": "1", "sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        yield client


async def log_in(browser: httpx.AsyncClient, key: str = FIRST) -> httpx.Response:
    return await browser.post("/session", json={"key": key})


async def test_a_person_shows_the_key_once_and_is_known_from_then_on(
    browser: httpx.AsyncClient,
) -> None:
    logged_in = await log_in(browser)
    me = (await browser.get("/session")).json()
    answer = await browser.post("/graphql", json=QUERY)

    cookie = logged_in.headers["set-cookie"]
    assert cookie.startswith("hw=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert FIRST not in cookie
    assert logged_in.json()["warning"].startswith("This page came over plain http")
    assert me["role"] == "tenant_admin"
    assert "create:api-key" in me["permissions"]
    assert me["tenant"]["slug"] == "default"
    assert answer.json() == {"data": {"auth_info": {"role": "tenant_admin"}}}


async def test_over_https_the_cookie_is_only_this_hosts(gateway: Gateway) -> None:
    headers = {"host": "hw.example", "origin": "https://hw.example", "x-headwater": "1"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client:
        answer = await client.post("/session", json={"key": FIRST}, headers=headers)

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-hw=")
    assert cookie.endswith("; Secure")
    assert "; Path=/;" in cookie
    assert answer.json()["warning"] is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"origin": "http://evil.example"}, "Origin:"),
        ({"x-headwater": None}, "X-Headwater:"),
        ({"sec-fetch-site": "cross-site"}, "A page of another site"),
    ],
)
async def test_no_other_page_can_use_a_session(
    browser: httpx.AsyncClient, changed: dict[str, str | None], says: str
) -> None:
    await log_in(browser)
    for name, value in changed.items():
        if value is None:
            del browser.headers[name]
        else:
            browser.headers[name] = value

    answer = await browser.post("/graphql", json=QUERY)

    assert answer.status_code == 403
    assert answer.json()["errors"][0]["message"].startswith(says)


async def test_a_session_ends_when_its_key_is_revoked(
    gateway: Gateway, browser: httpx.AsyncClient
) -> None:
    url, headers = f"http://127.0.0.1:{gateway.port}", {"authorization": f"Bearer {FIRST}"}
    async with Gql(url, headers=headers) as admin:
        key = (
            await admin('mutation { create_api_key(input: {name: "k", role: "user"}) { id key } }')
        )["create_api_key"]
        before = await log_in(browser, key["key"])
        await admin(
            "mutation($i: UUID!) { delete_api_key(input: {key_id: $i}) { success } }", i=key["id"]
        )

    after = await browser.get("/session")

    assert before.status_code == 200
    assert after.status_code == 401


async def test_who_logs_out_is_a_stranger(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    await browser.delete("/session")

    assert (await browser.get("/session")).status_code == 401


@pytest.fixture
async def replica(stack: Stack, gateway: Gateway) -> AsyncIterator[Gateway]:
    """A second gateway beside the first."""
    settings = GatewaySettings(
        postgres_url=stack.postgres_url("gateway"),
        reader_postgres_url=stack.postgres_url("reader"),
        nats_url=stack.nats_url,
        auth="required",
        key_pepper=SecretStr(PEPPER),
        port=0,
    )
    async with running(services.gateway.app.build(settings)) as second:
        yield second


async def test_a_copy_of_the_cookie_is_worth_nothing_after_the_log_out_on_any_gateway(
    gateway: Gateway, replica: Gateway, browser: httpx.AsyncClient
) -> None:
    copy = (await log_in(browser)).headers["set-cookie"].partition(";")[0]
    gateways = [f"http://127.0.0.1:{each.port}" for each in (gateway, replica)]
    async with httpx.AsyncClient(headers={"cookie": copy}, timeout=30) as thief:
        before = [(await thief.get(f"{url}/session")).status_code for url in gateways]

        logged_out = await browser.delete("/session")

        # This gateway at once; the other one hears of it, or looks within a second.
        at_once = await thief.get(f"{gateways[0]}/session")

        async def refused_elsewhere() -> str:
            answer = await thief.get(f"{gateways[1]}/session")
            return answer.text if answer.status_code == 401 else ""

        elsewhere = await eventually(refused_elsewhere)

    assert before == [200, 200]
    assert logged_out.json() == {"success": True}
    assert at_once.status_code == 401
    assert "this session has ended" in elsewhere


async def test_logging_out_ends_one_session_and_neither_the_key_nor_another_browser(
    gateway: Gateway, browser: httpx.AsyncClient
) -> None:
    await log_in(browser)
    other = {"cookie": (await log_in(browser)).headers["set-cookie"].partition(";")[0]}
    browser.cookies.clear()
    await log_in(browser)

    await browser.delete("/session")

    async with httpx.AsyncClient(base_url=browser.base_url, timeout=30) as client:
        another = await client.get("/session", headers=other)
        with_key = await client.get("/session", headers={"authorization": f"Bearer {FIRST}"})
    assert another.status_code == 200
    assert with_key.status_code == 200


async def test_an_event_stream_ends_with_the_log_out(browser: httpx.AsyncClient) -> None:
    await log_in(browser)

    async with browser.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        await browser.delete("/session")
        said = [line async for line in lines]

    assert any("unauthenticated" in line for line in said)


async def test_a_session_cannot_be_made_to_outlive_its_log_out(browser: httpx.AsyncClient) -> None:
    me = (await log_in(browser)).json()
    asked = "mutation($t: UUID!) { switch_tenant(input: {tenant_id: $t}) { refresh_token } }"

    answer = await browser.post(
        "/graphql", json={"query": asked, "variables": {"t": me["tenant"]["id"]}}
    )

    assert "a browser's session gives no tokens" in answer.json()["errors"][0]["message"]


async def test_a_log_out_that_cannot_be_written_is_not_said_to_be_one(
    gateway: Gateway, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_in(browser)

    async def away(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr(gateway._store, "end_session", away)
        refused = await browser.delete("/session")
    again = await browser.delete("/session")

    assert refused.status_code == 503
    assert "log out again" in refused.json()["errors"][0]["message"]
    assert "set-cookie" not in refused.headers
    assert again.json() == {"success": True}


async def test_what_is_kept_of_sessions_is_forgotten_once_they_would_have_ended(
    gateway: Gateway,
) -> None:
    now, tenant_id = gateway.clock(), UUID(int=5)
    store = gateway._store
    await store.end_session(b"long past", tenant_id=tenant_id, expires_at=now - timedelta(hours=1))
    await store.end_session(b"of today", tenant_id=tenant_id, expires_at=now + timedelta(hours=1))

    kept = await gateway.database.pool.fetch(
        "SELECT serial FROM gateway.ended_session WHERE tenant_id = $1", tenant_id
    )

    assert [row["serial"] for row in kept] == [b"of today"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"key": "hw_wrong"}, 401, "Unauthenticated"),
        ({}, 401, ""),
        ({"key": 7}, 400, "A log-in is a JSON object"),
        ({"key": FIRST, "tenant_id": "x"}, 400, "tenant_id: send a UUID"),
        (
            {"key": FIRST, "tenant_id": "3f0c7d52-8a44-4b8e-9a51-5d1f0c2b9e07"},
            404,
            "tenant_id: there is no tenant",
        ),
    ],
)
async def test_a_log_in_that_is_none_is_refused_in_a_sentence(
    browser: httpx.AsyncClient, body: dict[str, object], status: int, says: str
) -> None:
    answer = await browser.post("/session", json=body)

    assert answer.status_code == status
    assert says.lower() in answer.json()["errors"][0]["message"].lower()
    assert "set-cookie" not in answer.headers


async def test_an_event_stream_needs_no_more_than_the_cookie(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    del browser.headers["x-headwater"], browser.headers["origin"]

    async with browser.stream("GET", "/events") as stream:
        first = await anext(stream.aiter_lines())

    assert stream.status_code == 200
    assert first.startswith("retry:")
