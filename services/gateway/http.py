"""GraphQL over HTTP as real clients speak it (reference/requests.md).

One POST route at `/`, `/graphql` and `/graphql/alpha`. `variables` may be an object, a string of JSON, or absent; a
JSON array of operations is answered in order, and one failing operation does not fail the rest.

GET with `?query=` answers a query, and refuses mutations: a link or an image of any web page may send a GET. Without
`?query=` it is a page: the dashboard at `/`, the query editor at `/graphql`.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import orjson
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from graphql import GraphQLError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.contracts.base import Refused
from libs.runtime.http import Probe, health_routes
from libs.runtime.http_protocol import CONNECTION, Protocol
from libs.runtime.trace import HEADER, Tracing
from services.gateway import compat
from services.gateway.answers import Answer
from services.gateway.bodies import TINY, Bodies
from services.gateway.browsers import LOOPBACK_ORIGINS, WebPages
from services.gateway.context import Context, Lease, Shared
from services.gateway.dashboard import (
    BUILT_PAGES,
    Assets,
    Dashboard,
    Editor,
    Elsewhere,
    Icon,
    QueryOrPage,
)
from services.gateway.fair_queue import Owner
from services.gateway.identity import Authenticator
from services.gateway.operations import Operations
from services.gateway.outcomes import REFUSED, count, outcome_of, timer
from services.gateway.page_headers import with_page_headers
from services.gateway.people import People
from services.gateway.reads.caller import Caller
from services.gateway.requests import (
    BadRequestError,
    Given,
    Operation,
    operation_of,
    operations_in,
)
from services.gateway.sending import HEAD, SLICE, send_answer
from services.gateway.shares import BusyError
from services.gateway.subscriptions.endpoint import PATHS, Sockets
from services.gateway.turns import Turns

_TURNS_TO_HEAR = 3  # turns of the loop, after which it has reported that a client is gone
_NOT_KEPT = ((b"cache-control", b"no-store"),)  # an answer is current, and for this caller only
_PATHS = PATHS
# Processes of native agents: unchanged clients cannot carry a lease, so their address does (see libs/agent).
_LEASED = re.compile(
    r"/lease/(?P<flow_run_id>[0-9a-fA-F-]{36})/(?P<token>[0-9a-fA-F-]{36})(?P<path>/.*|)"
)

Headers = Mapping[str, str]


def build_app(
    shared: Shared,
    authenticator: Authenticator,
    operations: Operations,
    probe: Probe,
    *,
    people: People,
    sockets: Sockets,
    pages: WebPages,
    dashboard: Dashboard,
    tracing: Tracing | None = None,
) -> ASGIApp:
    """The gateway's HTTP application.

    FastAPI has the pages, what browsers need (CORS), and health and metrics unless they have a port of their own.
    GraphQL does not go through it: its routing and middleware cost more than a compiled mutation.
    """
    graphql = Endpoint(shared, authenticator, operations, tracing)
    others = with_page_headers(_with_routes(shared, graphql, probe, dashboard))

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        if scope["type"] == "websocket":
            await sockets.answer(scope, headers, receive, send)
            return
        refused = pages.refusal(scope["method"], headers)
        if refused is not None:
            status, text = refused
            await send_answer(send, _error(text, code="FORBIDDEN", status=status))
        elif (
            scope["method"] == "POST"
            and "origin" not in headers
            and (scope["path"] in _PATHS or _LEASED.fullmatch(scope["path"]))
        ):
            await graphql.answer(scope, headers, receive, send, straight=True)
        else:
            await people.answer(scope, headers, receive, send, others=others)

    return front


def _with_routes(
    shared: Shared, graphql: "Endpoint", probe: Probe, dashboard: Dashboard
) -> FastAPI:
    settings = shared.settings
    app = FastAPI(title="Headwater", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.page_origins,
        allow_origin_regex=None if settings.keys_required else LOOPBACK_ORIGINS,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["*"],
        max_age=600,
    )

    app.mount("/assets", Assets(directory=BUILT_PAGES / "assets", check_dir=False), name="assets")
    app.router.routes.append(Route("/favicon.svg", Icon(), methods=["GET"]))
    app.router.routes.extend(shared.downloads.routes())
    if settings.health_port is None:
        app.router.routes.extend(health_routes(probe))
    for path in (*sorted(_PATHS), "/lease/{rest:path}"):
        app.router.routes.append(Route(path, graphql, methods=["POST"]))
    for path in sorted(_PATHS):
        page = dashboard if path == "/" else Editor()
        app.router.routes.append(Route(path, QueryOrPage(graphql, page), methods=["GET"]))
    # Last: the dashboard itself decides what to show at an address.
    app.router.routes.append(Route("/{rest:path}", Elsewhere(dashboard)))
    return app


class Endpoint:
    """GraphQL as a bare ASGI application."""

    def __init__(
        self,
        shared: Shared,
        authenticator: Authenticator,
        operations: Operations,
        tracing: Tracing | None,
    ) -> None:
        self._tracing = tracing
        self._shared = shared
        self._authenticator = authenticator
        self._operations = operations
        self._bodies = Bodies(shared.settings.body_limit, shared.off_loop)
        self._under_way = operations.under_way
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request from the pages' application."""
        await self.answer(scope, _headers(scope), receive, send)

    async def answer(
        self,
        scope: Scope,
        headers: Headers,
        receive: Receive,
        send: Send,
        *,
        straight: bool = False,
    ) -> None:
        """Answer one request; nothing is sent to a client that has left.

        `straight` to the connection: no middleware adds headers.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        connection: Protocol | None = scope.get(CONNECTION)
        caller = Caller(connection=connection)
        try:
            if self._tracing is None:
                answer, kind = await self._answer(scope, headers, receive, caller)
            else:
                answer, kind = await self._traced(self._tracing, scope, headers, receive, caller)
            body, is_large = answer.body, len(answer.body) > SLICE
            may_be_one = straight and not is_large and answer.status != 429
            if not (
                may_be_one
                and connection is not None
                and connection.answer(scope, answer.status, HEAD % len(body), body)
            ):
                await send_answer(send, answer, *(_NOT_KEPT if scope["method"] == "GET" else ()))
            if is_large and connection is not None:
                await connection.drained()
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            if not caller.has_left:
                raise
            return
        finally:
            caller.let_go()
        timer(kind, answer.status)(clock() - started)
        if kind == "single":
            count(answer.outcome)()

    async def _traced(
        self, tracing: Tracing, scope: Scope, headers: Headers, receive: Receive, caller: Caller
    ) -> tuple[Answer, str]:
        # The pattern, not the path: a leased path holds a token.
        route = _LEASED.sub(r"/lease/{flow_run_id}/{lease_token}\g<path>", scope["path"])
        with tracing.span(
            f"{scope['method']} {route}",
            "server",
            within=headers.get(HEADER),
            attributes={"http.request.method": scope["method"], "http.route": route},
        ) as span:
            answer, kind = await self._answer(scope, headers, receive, caller)
            span.set_attribute("http.response.status_code", answer.status)
            return answer, kind

    async def _answer(
        self, scope: Scope, headers: Headers, receive: Receive, caller: Caller
    ) -> tuple[Answer, str]:
        """The caller is authenticated before the body is read: unknown callers use no memory."""
        try:
            lease = _lease(scope["path"])
            identity = await self._authenticator.identify(headers, _address(scope))
        except BadRequestError as error:
            return _bad_request(error), "single"
        except BusyError as error:
            answer = self._operations.answers.busy(error)
            return answer if _is_of_prefect(headers) else replace(answer, status=429), "single"
        except Exception as error:  # for example, PostgreSQL is gone
            return self._operations.answers.failed(error), "single"
        if isinstance(identity, Refused):
            refused = compat.error_of(identity)
            body = orjson.dumps({"errors": [refused.formatted], "data": None})
            return Answer(body, outcome=outcome_of([refused])), "single"
        caller.owner = owner = identity.owner
        connection: Protocol | None = scope.get(CONNECTION)
        if connection is not None and connection.owner is None:
            connection.is_of(identity.tenant_id)
        try:
            account = self._under_way.enter(owner)
            try:
                context = Context(
                    shared=self._shared,
                    identity=identity,
                    core_version=headers.get("x-prefect-core-version"),
                    agent_id=_uuid_header(headers, "x-prefect-agent-id"),
                    lease=lease,
                    caller=caller,
                    account=account,
                )
                answer, kind = await self._of_known(scope, headers, receive, context, owner)
            finally:
                self._under_way.leave(account)
        except BadRequestError as error:
            return _bad_request(error), "single"
        except BusyError as error:
            answer, kind = self._operations.answers.busy(error), "single"
        if answer.is_busy and kind == "single" and not _is_of_prefect(headers):
            answer = replace(answer, status=429)
        return answer, kind

    async def _of_known(
        self, scope: Scope, headers: Headers, receive: Receive, context: Context, owner: Owner
    ) -> tuple[Answer, str]:
        if scope["method"] == "GET":
            return await self._run(_asked(scope["query_string"], headers), context, owner)
        length = self._bodies.declared(headers)
        if length is not None and length <= TINY:
            connection: Protocol | None = scope.get(CONNECTION)
            body = None if connection is None else connection.take_body(scope, TINY)
            if body is None:
                body = await self._bodies.tiny(receive)
            if not self._turns.is_open():
                await self._turns.wait(owner)
            return await self._run(operations_in(body), context, owner)
        async with self._bodies.reading(receive, owner, length=length) as body:
            if not self._turns.is_open():
                await self._turns.wait(owner)
            given = await self._bodies.operations(owner, body)
            return await self._run(given, context, owner)

    async def _run(self, given: Given, context: Context, owner: Owner) -> tuple[Answer, str]:
        caller = context.caller or Caller()
        if isinstance(given, Operation):
            if given.only_reads and caller.is_gone:
                raise ClientDisconnect
            return await self._operations.run(given, context), "single"
        tasks: list[asyncio.Task[Answer]] = []
        has_left = False
        for _ in range(_TURNS_TO_HEAR):
            await asyncio.sleep(0)
        async with asyncio.TaskGroup() as group:
            for item in given:
                if tasks and not self._turns.is_open():
                    await self._turns.wait(owner)
                # What changes something is done all the same: a page that closes sends its last changes and does not
                # wait.
                if caller.is_gone and (not isinstance(item, Operation) or item.only_reads):
                    has_left = True
                    continue
                tasks.append(group.create_task(_one(self._operations, item, context)))
        if has_left:
            raise ClientDisconnect
        return Answer(b"[" + b",".join(task.result().body for task in tasks) + b"]"), "batch"


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _headers(scope: Scope) -> Headers:
    # Of a header that comes twice the first counts, so it is put in last.
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in reversed(scope["headers"])
    }


def _is_of_prefect(headers: Headers) -> bool:
    """Whether a client or the web UI of Prefect asks.

    They get a 200 with API_ERROR where others get a 429. On 429, Core from 1.2.3 on sleeps three minutes over http and
    ignores Retry-After, and older ones fail. On API_ERROR all from 0.12 on retry within seconds.
    """
    return "x-prefect-core-version" in headers or "x-prefect-ui" in headers


def _asked(query_string: bytes, headers: Headers) -> Operation:
    """The operation of a GET's address; it must be a query."""
    # A page of another site can make a browser send a GET without a preflight; it cannot read the answer, but could
    # keep the database busy. Browsers send the origin of a request, other clients do not.
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        msg = "A GET from a page of another site is not answered; send a POST."
        raise BadRequestError(msg, status=403)
    given = QueryParams(query_string)
    body = {
        "query": given["query"],
        "variables": given.get("variables"),
        "operationName": given.get("operationName"),
    }
    return replace(operation_of(body), may_write=False)


async def _one(
    operations: Operations, item: Operation | BadRequestError, context: Context
) -> Answer:
    if isinstance(item, BadRequestError):
        count(REFUSED)()
        return _error(str(item), code="BAD_REQUEST", status=200)
    answer = await operations.run(item, context)
    count(answer.outcome)()
    return answer


def _bad_request(error: BadRequestError) -> Answer:
    return _error(str(error), code="BAD_REQUEST", status=error.status)


def _error(text: str, *, code: str, status: int) -> Answer:
    error = GraphQLError(text, extensions={"code": code})
    return Answer(orjson.dumps({"errors": [error.formatted]}), status=status, outcome=REFUSED)


def _lease(path: str) -> Lease | None:
    """The lease that the address names; None for an address without one."""
    if path in _PATHS:
        return None
    found = _LEASED.fullmatch(path)
    if found is None or found["path"] not in _PATHS | {""}:
        msg = "GraphQL is answered at /graphql, and at /lease/<flow run id>/<token>/graphql."
        raise BadRequestError(msg, status=404)
    try:
        return Lease(UUID(found["flow_run_id"]), UUID(found["token"]))
    except ValueError:
        msg = "The address of a lease is /lease/<flow run id>/<token>."
        raise BadRequestError(msg, status=404) from None


def _uuid_header(headers: Headers, name: str) -> UUID | None:
    given = headers.get(name)
    if given is None:
        return None
    value = compat.header_uuid(given)
    with suppress(ValueError):
        return UUID(value) if value else None
    return None
