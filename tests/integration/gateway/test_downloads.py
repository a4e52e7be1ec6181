"""Logs and tables over plain HTTP, on a real gateway and PostgreSQL."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.contracts import subjects
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.identity import KeyAuthenticator
from services.gateway.keys import Key, Role, fingerprint
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Flow, tenant_with_flow
from tests.support.services import all_services

LINES = 5_000
WORKING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headwater-gateway-reads'"
    " AND state = 'active' AND datname = current_database()"
)


@dataclass(frozen=True, slots=True)
class World:
    """A gateway, a tenant with a run of many lines, and a stranger."""

    gateway: Gateway
    flow: Flow
    run_id: UUID
    clients: dict[Role, httpx.AsyncClient]
    stranger: httpx.AsyncClient

    @property
    def user(self) -> httpx.AsyncClient:
        return self.clients[Role.USER]

    @property
    def log(self) -> str:
        return f"/api/flow-runs/{self.run_id}/logs"


@pytest.fixture(scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(all_services(stack, auth="required"))

        async def client(tenant_id: UUID, role: Role) -> httpx.AsyncClient:
            key = await make_key(gateway, tenant_id, role)
            made = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{gateway.port}",
                headers={"authorization": f"Bearer {key}"},
                timeout=60,
            )
            return await exits.enter_async_context(made)

        flow = await tenant_with_flow(stack.admin_pool)
        other = await tenant_with_flow(stack.admin_pool)
        clients = {role: await client(flow.tenant_id, role) for role in Role}
        run_id = await make_run(clients[Role.USER], flow)
        await write_lines(stack, flow.tenant_id, run_id, LINES)
        yield World(gateway, flow, run_id, clients, await client(other.tenant_id, Role.USER))


async def make_key(gateway: Gateway, tenant_id: UUID, role: Role) -> str:
    text = f"hw_{gateway.ids()}"
    key = Key(
        id=gateway.ids(), tenant_id=tenant_id, user_id=gateway.ids(), name="k", role=role, expires_at=None,
    )  # fmt: skip
    await gateway._store.create_key(
        key, fingerprint(text, gateway._settings.pepper), created_by=None
    )
    return text


async def make_run(client: httpx.AsyncClient, flow: Flow, name: str | None = None) -> UUID:
    query = "mutation($i: create_flow_run_input!) { create_flow_run(input: $i) { id } }"
    given = {"flow_id": str(flow.id), "flow_run_name": name}
    answer = await client.post("/graphql", json={"query": query, "variables": {"i": given}})
    return UUID(answer.json()["data"]["create_flow_run"]["id"])


async def write_lines(stack: Stack, tenant_id: UUID, run_id: UUID, count: int) -> None:
    """Lines of which ten share each timestamp; every hundredth is an error of another logger."""
    now = utc_now()
    rows = [
        (
            new_id(), now, tenant_id, run_id, now + timedelta(milliseconds=number // 10),
            "worker" if number % 100 == 0 else "prefect", "ERROR" if number % 100 == 0 else "INFO",
            f"line {number} of Größe", number,
        )
        for number in range(count)
    ]  # fmt: skip
    await stack.admin_pool.copy_records_to_table(
        "log",
        schema_name="runs",
        records=rows,
        columns=[
            "id", "created", "tenant_id", "flow_run_id", "timestamp", "name", "level", "message", "sequence",
        ],
    )  # fmt: skip


def numbers(text: str) -> list[int]:
    return [int(line.partition("line ")[2].split()[0]) for line in text.splitlines()]


async def test_a_log_comes_whole_and_in_order_as_text(world: World) -> None:
    answer = await world.user.get(world.log)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert numbers(answer.text) == list(range(LINES))
    assert answer.text.splitlines()[100].endswith("] ERROR - worker | line 100 of Größe")


async def test_a_log_comes_packed(world: World) -> None:
    answer = await world.user.get(world.log, params={"gzip": "true"})

    assert answer.headers["content-type"] == "application/gzip"
    assert numbers(gzip.decompress(answer.content).decode()) == list(range(LINES))


async def test_a_log_goes_on_after_any_line_of_it(world: World) -> None:
    first = (await world.user.get(world.log, params={"format": "ndjson"})).text.splitlines()

    for index in (0, 999, 1_004, LINES - 2, LINES - 1):
        line = httpx.Response(200, content=first[index]).json()
        after = f"{line['timestamp']},{line['sequence']}"
        rest = await world.user.get(world.log, params={"format": "ndjson", "after": after})
        assert rest.text.splitlines() == first[index + 1 :]


async def test_a_filtered_log_is_what_the_filter_says(world: World, stack: Stack) -> None:
    answer = await world.user.get(world.log, params={"level": "error", "text": "LINE 1"})

    wanted = [n for n in range(0, LINES, 100) if str(n).startswith("1")]
    assert numbers(answer.text) == wanted


async def test_very_long_lines_do_not_make_a_page_larger(world: World, stack: Stack) -> None:
    run_id = await make_run(world.user, world.flow)
    now = utc_now()
    await stack.admin_pool.execute(
        "INSERT INTO runs.log (id, created, tenant_id, flow_run_id, timestamp, message, sequence)"
        " SELECT gen_random_uuid(), $3, $1, $2, $3, repeat('ä', 900000), n FROM generate_series(1, 12) n",
        world.flow.tenant_id, run_id, now,
    )  # fmt: skip

    async with world.user.stream("GET", f"/api/flow-runs/{run_id}/logs") as answer:
        lines = [len(line) async for line in answer.aiter_lines()]

    assert len(lines) == 12
    assert min(lines) > 900_000
    answers = world.gateway._reads.reader._answers
    await eventually(lambda: answers._used == 0)


async def test_a_search_says_where_and_how_often(world: World, stack: Stack) -> None:
    path = f"{world.log}/search"
    found = (await world.user.get(path, params={"text": "LINE 12", "limit": 3})).json()

    counted = await stack.admin_pool.fetchval(
        "SELECT count(*) FROM runs.log WHERE flow_run_id = $1 AND message ILIKE '%line 12%'",
        world.run_id,
    )
    assert found["count"] == counted
    assert [(m["position"], m["column"]) for m in found["matches"]] == [(13, 1), (121, 1), (122, 1)]
    following = (
        await world.user.get(path, params={"text": "LINE 12", "limit": 2, "after": 121})
    ).json()
    assert following["count"] == counted
    assert [match["position"] for match in following["matches"]] == [122, 123]


async def test_a_search_for_a_pattern_finds_the_pattern_itself(world: World) -> None:
    found = (await world.user.get(f"{world.log}/search", params={"text": "line%"})).json()

    assert found == {"count": 0, "matches": []}


async def test_graphql_finds_what_http_finds(world: World) -> None:
    query = """query ($run: UUID!) {
        log_search(flow_run_id: $run, text: "LINE 12", limit: 3) {
            count matches { position column sequence message }
        }
    }"""
    body = {"query": query, "variables": {"run": str(world.run_id)}}

    found = (await world.user.post("/graphql", json=body)).json()["data"]["log_search"]

    params = {"text": "LINE 12", "limit": "3"}
    same = (await world.user.get(f"{world.log}/search", params=params)).json()
    assert found["count"] == same["count"]
    assert [(m["position"], m["column"], m["message"]) for m in found["matches"]] == [
        (m["position"], m["column"], m["message"]) for m in same["matches"]
    ]
    foreign = (await world.stranger.post("/graphql", json=body)).json()
    assert foreign["errors"][0]["message"] == f"Invalid flow run ID: {world.run_id}."


async def test_a_table_comes_as_csv_with_the_filter_of_its_list(world: World) -> None:
    for name in ("=cmd|' /C calc'!A0", "-2+3", "@x", "plain"):
        await make_run(world.user, world.flow, name)
    params = {
        "where": '{"name": {"_in": ["=cmd|\' /C calc\'!A0", "-2+3", "@x", "plain"]}}',
        "columns": "name,state,flow.name",
    }

    answer = await world.user.get("/api/tables/flow_run.csv", params=params)

    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["name", "state", "flow.name"]
    assert [row[0] for row in rows[1:]] == ["'=cmd|' /C calc'!A0", "'-2+3", "'@x", "plain"]
    assert {row[1] for row in rows[1:]} == {"Scheduled"}


async def test_a_table_of_many_pages_has_each_row_once_in_both_orders(
    world: World, stack: Stack
) -> None:
    await stack.admin_pool.execute(
        "INSERT INTO runs.agent (id, tenant_id, type, name)"
        " SELECT gen_random_uuid(), $1, 'LocalAgent', 'many ' || n FROM generate_series(1, 2500) n",
        world.flow.tenant_id,
    )
    params = {"columns": "id,name", "where": '{"name": {"_like": "many %"}}'}

    up = (await world.user.get("/api/tables/agent.csv", params=params)).text.splitlines()
    down = await world.user.get("/api/tables/agent.csv", params={**params, "order": "desc"})

    assert len(up) == 2501
    assert down.text.splitlines()[1:] == up[:0:-1]
    after = up[1500].split(",")[0]
    rest = await world.user.get("/api/tables/agent.csv", params={**params, "after": after})
    assert rest.text.splitlines()[1:] == up[1501:]


TABLES = ("flow_run", "task_run", "flow", "agent", "project", "flow_group", "key_value", "tenant")


@pytest.mark.parametrize("table", TABLES)
async def test_all_columns_of_a_table_can_be_had(world: World, table: str) -> None:
    answer = await world.user.get(f"/api/tables/{table}.csv")

    assert answer.status_code == 200, answer.text
    assert "id" in answer.text.splitlines()[0].split(",")


async def test_another_tenants_run_is_answered_like_none(world: World) -> None:
    for path in ("logs", "logs/search"):
        foreign = await world.stranger.get(f"/api/flow-runs/{world.run_id}/{path}")
        unknown_id = new_id()
        unknown = await world.stranger.get(f"/api/flow-runs/{unknown_id}/{path}")

        assert foreign.status_code == unknown.status_code == 404
        assert foreign.text.replace(str(world.run_id), str(unknown_id)) == unknown.text


async def test_tables_show_nothing_of_another_tenant(world: World) -> None:
    for table in TABLES:
        where = {"where": f'{{"tenant_id": {{"_eq": "{world.flow.tenant_id}"}}}}'}
        if table == "tenant":
            where = {"where": f'{{"id": {{"_eq": "{world.flow.tenant_id}"}}}}'}
        answer = await world.stranger.get(f"/api/tables/{table}.csv", params=where)
        assert answer.status_code == 200, answer.text
        assert len(answer.text.splitlines()) == 1


async def test_every_role_reads_what_its_queries_read(world: World) -> None:
    for role, client in world.clients.items():
        assert (await client.get(world.log, params={"level": "ERROR"})).status_code == 200
        assert (await client.get("/api/tables/flow_run.csv")).status_code == 200
        trail = await client.get("/api/tables/audit_log.csv")
        assert trail.status_code == (200 if role is Role.TENANT_ADMIN else 403)


async def test_without_a_key_nothing_is_read(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.user.base_url, timeout=30) as nobody:
        for path in (world.log, f"{world.log}/search", "/api/tables/flow_run.csv"):
            answer = await nobody.get(path)
            assert answer.status_code == 401
            assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/api/flow-runs/7/logs", 400, "'7' is not a UUID"),
        ("{log}?format=xml", 400, "say text or ndjson"),
        ("{log}?level=INFO&level=ERROR", 400, "more than once"),
        ("{log}/search?limit=x", 400, "limit"),
        ("/api/tables/passwords.csv", 404, "no such table"),
        ("/api/tables/log.csv", 404, "no such table"),
        ("/api/tables/api_key.csv", 404, "no such table"),
        ("/api/tables/flow.csv?columns=secret", 400, "has no column 'secret'"),
        ("/api/tables/flow.csv?columns=flow_runs.id", 400, "has no relation 'flow_runs'"),
        ('/api/tables/flow.csv?where={"nme":{}}', 400, "nme"),
        ('/api/tables/flow.csv?where={"id":{"_eq":"x"}}', 400, "x"),
    ],
)
async def test_what_is_wrong_is_said(world: World, path: str, status: int, sentence: str) -> None:
    answer = await world.user.get(path.replace("{log}", world.log))

    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["errors"][0]["message"]


async def test_a_page_of_another_site_is_not_answered(world: World) -> None:
    answer = await world.user.get(world.log, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 403


async def test_a_download_ends_with_its_key(world: World, stack: Stack) -> None:
    text = await make_key(world.gateway, world.flow.tenant_id, Role.USER)
    run_id = await make_run(world.user, world.flow)
    await stack.admin_pool.execute(
        "INSERT INTO runs.log (id, created, tenant_id, flow_run_id, timestamp, message, sequence)"
        " SELECT gen_random_uuid(), now(), $1, $2, now(), repeat('x', 900000), n FROM generate_series(1, 60) n",
        world.flow.tenant_id,
        run_id,
    )
    headers = {"authorization": f"Bearer {text}"}
    path = f"/api/flow-runs/{run_id}/logs"
    async with world.user.stream("GET", path, headers=headers) as answer:
        chunks = answer.aiter_raw()
        await anext(chunks)
        key_id = await stack.admin_pool.fetchval(
            "UPDATE gateway.api_key SET revoked_at = now() WHERE hash = $1 RETURNING id",
            fingerprint(text, world.gateway._settings.pepper),
        )
        await world.gateway.bus.signal(subjects.SIG_KEY_CHANGED.at(key_id=key_id))
        # The gateway has heard of it; else all might be sent before.
        authenticator = world.gateway._api.authenticator
        assert isinstance(authenticator, KeyAuthenticator)
        known = authenticator._known
        await eventually(lambda: all(key.id != key_id for _, key in known.values()))

        with pytest.raises(httpx.RemoteProtocolError):
            await _read(chunks)


async def _read(chunks: AsyncIterator[bytes]) -> int:
    return sum([len(chunk) async for chunk in chunks])


async def test_a_client_that_leaves_cancels_its_query(world: World, stack: Stack) -> None:
    async with stack.admin_pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE registry.project IN ACCESS EXCLUSIVE MODE")
        reading = asyncio.ensure_future(world.user.get("/api/tables/project.csv"))
        await eventually(lambda: _working(stack, 1))

        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

        await eventually(lambda: _working(stack, 0), timeout=8)
    assert (await world.user.get("/api/tables/project.csv")).status_code == 200


async def test_a_flood_of_downloads_leaves_another_tenant_its_reads(
    world: World, stack: Stack
) -> None:
    async with stack.admin_pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE registry.project IN ACCESS EXCLUSIVE MODE")
        flood = [
            asyncio.ensure_future(world.user.get("/api/tables/project.csv")) for _ in range(30)
        ]
        refused: list[Any] = []
        for ended in asyncio.as_completed(flood):
            answer = await ended
            if answer.status_code == 429:
                refused.append(answer.headers["retry-after"])
            if len(refused) == 20:
                break

        async with asyncio.timeout(8):
            query = await world.stranger.post("/graphql", json={"query": "{ flow { id } }"})
            table = await world.stranger.get("/api/tables/flow.csv")
            own = await world.user.post("/graphql", json={"query": "{ flow { id } }"})

    assert len(query.json()["data"]["flow"]) == 1
    assert table.status_code == 200
    assert len(own.json()["data"]["flow"]) == 1
    await asyncio.gather(*flood)


async def _working(stack: Stack, count: int) -> bool:
    return bool(await stack.admin_pool.fetchval(WORKING) == count)
