"""Every route beside GraphQL, and every root field that takes an id, asked by every role and by another tenant.

What another tenant has and what nobody has are answered alike: the same status, the same body but for the id, and the
same statements of PostgreSQL, so that time tells nothing either.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from starlette.routing import Route

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.downloads.routes import Downloads
from services.gateway.events import endpoint as events
from services.gateway.keys import Role
from services.gateway.reads.derived_roots import DERIVED
from services.gateway.session import endpoint as session
from tests.integration.gateway.test_downloads import make_key, make_run
from tests.support.engines import Stack
from tests.support.ledger import Flow, tenant_with_flow
from tests.support.services import all_services

EVERYBODY = frozenset(Role)
ADMINISTRATORS = frozenset({Role.TENANT_ADMIN})
MUTATIONS = {
    "cancel_flow_run",
    "bulk_flow_runs",
    "bulk_flows",
    "delete_api_key",
    "delete_service_account",
}
PAGE = {"accept": "text/html"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request about an id of one kind (`flow`, `run`, `task`, ...), and the roles that it is for."""

    path: str
    about: str | None
    roles: frozenset[Role] = EVERYBODY
    query: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    async def by(self, client: httpx.AsyncClient, id_: str) -> tuple[int, str]:
        """The status, and the body without the id. Of a stream that opens only that it does."""
        path, headers = self.path.replace("ID", id_), dict(self.headers)
        if self.query is not None:
            body = {"query": self.query, "variables": {"id": id_}}
            answer = await client.post(path, json=body, headers=headers)
            return answer.status_code, without(answer.text, id_)
        async with client.stream("GET", path, headers=headers) as answer:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                return answer.status_code, "a stream"
            text = (await answer.aread()).decode()
            return answer.status_code, without(text, id_)


def field(
    about: str, text: str, *, id_type: str = "UUID", roles: frozenset[Role] = EVERYBODY
) -> Asked:
    keyword = "mutation" if text.partition("(")[0] in MUTATIONS else "query"
    return Asked("/graphql", about, roles, f"{keyword}($id: {id_type}!) {{ {text} }}")


WRITERS = frozenset({Role.TENANT_ADMIN, Role.USER})
RUNNERS = WRITERS | {Role.AGENT}
ROUTES = [
    Asked("/api/flow-runs/ID/logs", "run"),
    Asked("/api/flow-runs/ID/logs?format=ndjson", "run"),
    Asked("/api/flow-runs/ID/logs?level=ERROR", "run"),
    Asked("/api/flow-runs/ID/logs/search?text=x", "run"),
    Asked("/api/tables/flow_run.csv", None),
    Asked("/api/tables/audit_log.csv", None, ADMINISTRATORS),
    Asked("/events?flow_run=ID", "run"),
    Asked("/events?flow=ID", "flow"),
    Asked("/events?flow=ID", "group"),
    Asked("/events", None),
    Asked("/session", None),
]
LINKS = [
    Asked(f"{before}/{kind}/ID", about, headers=tuple(PAGE.items()))
    for before in ("", "/other-slug")
    for kind, about in (("flow-run", "run"), ("flow", "flow"), ("flow", "group"), ("task-run", "task_run"))
]  # fmt: skip
FIELDS = [
    field("run", 'log_search(flow_run_id: $id, text: "x") { count matches { position } }'),
    field("run", "mapped_summary(flow_run_id: $id) { task_id }", id_type="uuid"),
    field("run", "flow_run_agents(flow_run_id: $id) { agent_id }", id_type="uuid"),
    field("flow", 'flow_run_buckets(since: "2026-01-01", until: "2026-01-02", where: {flow_id: {_eq: $id}})'
          " { bucket }", id_type="uuid"),
    field("run", "flow_run_by_pk(id: $id) { id created_by_name states { actor_name } }", id_type="uuid"),
    field("flow", "flow_by_pk(id: $id) { id created_by_name late_reason }", id_type="uuid"),
    field("task_run", "task_run_by_pk(id: $id) { id duration waiting_reason states { actor_name } }", id_type="uuid"),
    field("request", "bulk_request(request_key: $id) { total }", id_type="String"),
    field("run", "cancel_flow_run(input: {flow_run_id: $id}) { state }", roles=RUNNERS),
    field("person", "delete_service_account(input: {user_id: $id}) { success error }", roles=ADMINISTRATORS),
    field("key", "delete_api_key(input: {key_id: $id}) { success error }", roles=ADMINISTRATORS),
    field("run", 'bulk_flow_runs(input: {request_key: "dry", action: "CANCEL", ids: [$id], dry_run: true})'
          " { total not_found pending items { name state reason } }", roles=WRITERS),
    field("flow", 'bulk_flows(input: {request_key: "dry", action: "ARCHIVE", ids: [$id], dry_run: true})'
          " { total not_found pending items { name state reason } }", roles=WRITERS),
]  # fmt: skip
WALK = [*ROUTES, *LINKS, *FIELDS]


@dataclass(frozen=True, slots=True)
class World:
    """A gateway, a tenant with something of each kind, its people, and a stranger with all rights elsewhere."""

    gateway: Gateway
    ids: dict[str, str]
    clients: dict[Role, httpx.AsyncClient]
    stranger: httpx.AsyncClient

    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}"


@pytest.fixture(scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(all_services(stack, auth="required"))

        async def client(tenant_id: UUID, role: Role) -> httpx.AsyncClient:
            key = await make_key(gateway, tenant_id, role)
            headers = {"authorization": f"Bearer {key}"}
            return await exits.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{gateway.port}", headers=headers, timeout=60
                )
            )

        flow = await tenant_with_flow(stack.admin_pool)
        other = await tenant_with_flow(stack.admin_pool)
        clients = {role: await client(flow.tenant_id, role) for role in Role}
        ids = await things(clients[Role.TENANT_ADMIN], flow, stack)
        stranger = await client(other.tenant_id, Role.TENANT_ADMIN)
        yield World(gateway, ids, clients, stranger)


async def things(admin: httpx.AsyncClient, flow: Flow, stack: Stack) -> dict[str, str]:
    """The id of something of each kind."""
    run_id = await make_run(admin, flow)

    async def made(query: str, name: str) -> str:
        answer = (await admin.post("/graphql", json={"query": f"mutation {{ {query} }}"})).json()
        found: str = answer["data"][name]["id"]
        return found

    task_run = await stack.admin_pool.fetchval(
        "SELECT id FROM runs.task_run WHERE flow_run_id = $1 LIMIT 1", run_id
    )
    await made(
        f'bulk_flow_runs(input: {{request_key: "theirs", action: "RUN_NOW", ids: ["{run_id}"]}}) {{ id }}',
        "bulk_flow_runs",
    )
    return {
        "run": str(run_id),
        "flow": str(flow.id),
        "group": str(flow.group_id),
        "task_run": str(task_run),
        "request": "theirs",
        "person": await made(
            'create_service_account(input: {name: "x"}) { id }', "create_service_account"
        ),
        "key": await made('create_api_key(input: {name: "x"}) { id }', "create_api_key"),
    }


@asynccontextmanager
async def statements_of(gateway: Gateway) -> AsyncIterator[list[str]]:
    """What is asked of PostgreSQL for requests, in order; duties of the gateway are left out."""
    seen: list[str] = []
    reader = gateway._reads.reader._pool
    assert reader is not None
    pools = (gateway.database.pool, gateway._reads.rows.pool, reader)
    for pool in pools:
        # All connections are open, so that none is opened unseen for a request that comes beside a duty.
        taken = [await pool.acquire() for _ in range(pool.get_max_size())]
        for connection in taken:
            await pool.release(connection)
    # asyncpg has no word for the connections of a pool, nor have its stubs.
    holders: list[Any] = [holder for pool in pools for holder in getattr(pool, "_holders", ())]
    assert holders
    open_ = [holder._con for holder in holders if holder._con]
    assert len(open_) == len(holders)

    def note(record: asyncpg.connection.LoggedQuery) -> None:
        seen.append(record.query)

    for connection in open_:
        connection.add_query_logger(note)
    try:
        yield seen
    finally:
        for connection in open_:
            connection.remove_query_logger(note)


def test_every_route_and_every_root_field_about_an_id_is_walked() -> None:
    routes = Downloads(None, None, None).routes()  # type: ignore[arg-type] # asked for its paths only
    paths = {route.path for route in routes if isinstance(route, Route)} | {
        events.PATH,
        session.PATH,
    }
    walked = {asked.path.partition("?")[0] for asked in ROUTES}
    shapes = {path.replace("ID", "{id}") for path in walked}
    shapes |= {"/api/tables/{name}.csv" for path in walked if path.startswith("/api/tables/")}

    assert paths <= shapes
    about_ids = {
        name
        for name, derived in DERIVED.items()
        if any(
            argument.type == "uuid" and argument.required for argument in derived.arguments.values()
        )
    }
    said = " ".join(asked.query or "" for asked in FIELDS)
    assert {name for name in about_ids if name not in said} == set()


@pytest.mark.parametrize("asked", WALK, ids=lambda asked: f"{asked.path} {asked.query or ''}"[:90])
async def test_a_stranger_and_an_unknown_key_get_nothing(world: World, asked: Asked) -> None:
    id_ = world.ids.get(asked.about or "", "")
    for headers in ({}, {"authorization": "Bearer hw_of-nobody"}):
        async with httpx.AsyncClient(base_url=world.url(), headers=headers, timeout=60) as nobody:
            status, text = await asked.by(nobody, id_)

        # A link's page asks for the key by itself, where the dashboard is built.
        assert status == 401 or (asked in LINKS and status == 200) or asked.query is not None
        assert any(said in text.lower() for said in ("unauthenticated", "logged in", "<html"))
        assert "a stream" not in text


@pytest.mark.parametrize(
    "asked",
    [a for a in WALK if a.about],
    ids=lambda asked: f"{asked.path} {asked.query or ''}"[:90],
)
async def test_what_others_have_is_answered_like_what_nobody_has(
    world: World, asked: Asked
) -> None:
    theirs = world.ids[asked.about or ""]
    nobodys = "nobodys" if asked.about == "request" else str(new_id())
    # Plans are compiled and keys looked up once.
    await asked.by(world.stranger, nobodys)

    async with statements_of(world.gateway) as of_theirs:
        foreign = await asked.by(world.stranger, theirs)
    async with statements_of(world.gateway) as of_nobodys:
        unknown = await asked.by(world.stranger, nobodys)

    assert without_nonce(foreign) == without_nonce(unknown)
    assert about_requests(of_theirs) == about_requests(of_nobodys)


@pytest.mark.parametrize("asked", WALK, ids=lambda asked: f"{asked.path} {asked.query or ''}"[:90])
async def test_each_role_gets_what_is_its_own_and_is_told_of_the_rest(
    world: World, asked: Asked
) -> None:
    # Of nobody where the request changes something: what is asked is whether the role may.
    is_change = (asked.query or "").startswith("mutation")
    id_ = str(new_id()) if is_change else world.ids.get(asked.about or "", "")

    answers = await asyncio.gather(*(asked.by(world.clients[role], id_) for role in Role))

    refused = {
        role for role, (_, text) in zip(Role, answers, strict=True) if "Unauthorized" in text
    }
    assert refused == set(Role) - asked.roles
    # What is asked means something: who may is answered.
    _, whole = answers[list(Role).index(Role.TENANT_ADMIN)]
    assert is_change or '"errors"' not in whole
    assert all(status < 500 for status, _ in answers)


async def test_a_tenant_that_is_not_ones_own_is_refused_like_one_that_is_none(world: World) -> None:
    answer = await world.clients[Role.USER].post("/graphql", json={"query": "{ tenant { id } }"})
    theirs, nobodys = answer.json()["data"]["tenant"][0]["id"], str(new_id())

    for path in ("/api/tables/flow_run.csv", "/events", "/graphql?query={hello}"):
        answers = [
            (await world.stranger.get(path, headers={"x-prefect-tenant-id": id_}))
            for id_ in (theirs, nobodys)
        ]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].text.replace(theirs, nobodys) == answers[1].text
    key = world.stranger.headers["authorization"].removeprefix("Bearer ")
    headers = {"origin": world.url(), "x-headwater": "1"}
    entered = [
        await world.stranger.post("/session", json={"key": key, "tenant_id": id_}, headers=headers)
        for id_ in (theirs, nobodys)
    ]
    assert [answer.status_code for answer in entered] == [404, 404]
    assert entered[0].text.replace(theirs, nobodys) == entered[1].text


def without(text: str, id_: str) -> str:
    """What is said, but for the id that was asked for."""
    return text.replace(id_, "ID") if id_ else text


def without_nonce(answer: tuple[int, str]) -> tuple[int, str]:
    """A page has a new nonce each time."""
    status, text = answer
    # As an attribute, and in the built page as `<meta name="style-nonce" content="...">` too.
    return status, re.sub(r'(nonce="|nonce" content=")[^"]+"', r"\1", text)


def about_requests(seen: list[str]) -> list[str]:
    """Statements of the request: keys are looked up once a second, duties and the driver ask by themselves."""
    quiet = (
        "gateway.api_key k",
        "gateway.bulk_request",
        "server_version",
        "SELECT 1",
        "audit_log",
        # Tenants that were deleted, looked for every five seconds.
        "now() - deleted AS age",
        # What asyncpg asks once on a connection, about the types of arguments.
        "typeinfo_tree",
        "set_config('jit'",
    )
    return [query for query in seen if not any(part in query for part in quiet)]
