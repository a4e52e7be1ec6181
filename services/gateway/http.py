"""GraphQL over HTTP as real clients speak it (clients.md sections 2, 11; ui-client.md section 1).

One POST route at `/`, `/graphql` and `/graphql/alpha`. `variables` may be an object, a string of JSON, or absent; a
JSON array of operations is answered in order, and one failing operation does not fail the rest.

GET with `?query=` answers a query, and refuses mutations: a link or an image of any web page may send a GET. Without
`?query=` it is the query editor.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from graphql import GraphQLError
from prometheus_client import Histogram
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.contracts.base import Refused
from libs.runtime import exact_json, metrics
from libs.runtime.exact_json import MOST_LEVELS
from libs.runtime.http import Probe, health_routes
from libs.runtime.trace import HEADER, Tracing
from services.gateway.context import Context, Lease, Shared
from services.gateway.graphql import compat
from services.gateway.identity import Door
from services.gateway.operations import Answer, Operation, Operations

JSON = "application/json"
BATCH_LIMIT = 100  # operations in one array; the web UI sends 25 at most

BUILT_PAGES = Path(__file__).parents[1] / "dashboard" / "dist"
UNBUILT_PAGE = Path(__file__).with_name("pages") / "unbuilt.html"


_JSON_HEADER = (b"content-type", JSON.encode())
_NOT_KEPT = ((b"cache-control", b"no-store"),)  # an answer is of this moment, and for this caller
_PATHS = frozenset({"/", "/graphql", "/graphql/", "/graphql/alpha"})
# Processes of native agents: unchanged clients cannot carry a lease, so their address does (see libs/agent).
_LEASED = re.compile(
    r"/lease/(?P<flow_run_id>[0-9a-fA-F-]{36})/(?P<token>[0-9a-fA-F-]{36})(?P<path>/.*|)"
)

Headers = Mapping[str, str]


class BadRequestError(Exception):
    """The body is not a GraphQL request; the text says what was expected."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def build_app(
    shared: Shared,
    door: Door,
    operations: Operations,
    probe: Probe,
    *,
    tracing: Tracing | None = None,
) -> ASGIApp:
    """The gateway's HTTP application.

    FastAPI has the pages, what browsers need (CORS), and health and metrics unless they have a port of their own.
    GraphQL of everybody else goes past it: its routing and middleware cost more than a compiled mutation.
    """
    graphql = Endpoint(shared, door, operations, tracing)
    app = FastAPI(title="Headwater", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=shared.settings.cors_origins,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["*"],
        max_age=600,
    )

    assets = StaticFiles(directory=BUILT_PAGES / "assets", check_dir=False)
    app.mount("/assets", assets, name="assets")
    if shared.settings.health_port is None:
        app.router.routes.extend(health_routes(probe))
    for path in (*sorted(_PATHS), "/lease/{rest:path}"):
        app.router.routes.append(Route(path, graphql, methods=["POST"]))
    # `make up` and the clients' own settings name /graphql, so that is what people open, too.
    for path in sorted(_PATHS):
        app.router.routes.append(Route(path, Asked(graphql), methods=["GET"]))

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and (scope["path"] in _PATHS or _LEASED.fullmatch(scope["path"]))
            and not any(name == b"origin" for name, _ in scope["headers"])
        ):
            await graphql(scope, receive, send)
        else:
            await app(scope, receive, send)

    return front


class Asked:
    """What a browser gets: the answer to `?query=`, else the query editor, for people.

    Where the editor is not built, a page says how to build it.
    """

    def __init__(self, graphql: "Endpoint") -> None:
        self._graphql = graphql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one GET."""
        if "query" in QueryParams(scope["query_string"]):
            await self._graphql(scope, receive, send)
        else:
            editor = BUILT_PAGES / "editor.html"
            page = editor if editor.is_file() else UNBUILT_PAGE
            await FileResponse(page, media_type="text/html")(scope, receive, send)


class Endpoint:
    """GraphQL as a bare ASGI application."""

    def __init__(
        self, shared: Shared, door: Door, operations: Operations, tracing: Tracing | None
    ) -> None:
        self._tracing = tracing
        self._shared = shared
        self._door = door
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one POST; nobody is answered who has left."""
        clock = asyncio.get_running_loop().time
        started = clock()
        # Of a header that comes twice the first counts, so it is put in last.
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in reversed(scope["headers"])
        }
        try:
            if self._tracing is None:
                answer, kind = await self._answer(scope, headers, receive)
            else:
                answer, kind = await self._traced(self._tracing, scope, headers, receive)
        except ClientDisconnect:
            return
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    (b"content-length", b"%d" % len(answer.body)),
                    _JSON_HEADER,
                    *(_NOT_KEPT if scope["method"] == "GET" else ()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer.body})
        _timer(kind, answer.status).observe(clock() - started)

    async def _traced(
        self, tracing: Tracing, scope: Scope, headers: Headers, receive: Receive
    ) -> tuple[Answer, str]:
        # The pattern, not the path: a leased path holds a token.
        route = _LEASED.sub(r"/lease/{flow_run_id}/{lease_token}\g<path>", scope["path"])
        with tracing.span(
            f"{scope['method']} {route}",
            "server",
            within=headers.get(HEADER),
            attributes={"http.request.method": scope["method"], "http.route": route},
        ) as span:
            answer, kind = await self._answer(scope, headers, receive)
            span.set_attribute("http.response.status_code", answer.status)
            return answer, kind

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> tuple[Answer, str]:
        try:
            lease = _lease(scope["path"])
            given: Operation | list[Operation | BadRequestError]
            if scope["method"] == "GET":
                given = _asked(scope["query_string"], headers)
            else:
                given = _operations(
                    *await _read(receive, headers, self._shared.settings.body_limit)
                )
        except BadRequestError as error:
            return _error(str(error), code="BAD_REQUEST", status=error.status), "single"
        try:
            identity = await self._door.identify(headers)
        except Exception as error:  # PostgreSQL is gone, say
            return self._operations.failed(error), "single"
        if isinstance(identity, Refused):
            refused = compat.error_of(identity)
            return Answer(orjson.dumps({"errors": [refused.formatted], "data": None})), "single"
        context = Context(
            shared=self._shared,
            identity=identity,
            core_version=headers.get("x-prefect-core-version"),
            agent_id=_uuid_header(headers, "x-prefect-agent-id"),
            lease=lease,
        )
        if isinstance(given, Operation):
            return await self._operations.run(given, context), "single"
        answers = await asyncio.gather(*(_one(self._operations, item, context) for item in given))
        return Answer(b"[" + b",".join(a.body for a in answers) + b"]"), "batch"


@cache
def _timer(kind: str, status: int) -> Histogram:
    """Found once: looking a label up costs more than the observation."""
    return metrics.HTTP_SECONDS.labels(kind, str(status))


async def _read(receive: Receive, headers: Headers, limit: int) -> tuple[Any, bool]:
    """The body as JSON, read no further than the limit, and whether it is odd."""
    declared = headers.get("content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise _too_large(limit)
    return _json(body, "The request body is")


def _json(text: bytearray | str, what: str) -> tuple[Any, bool]:
    """The value of a JSON text, and whether it is odd: it may hold what nothing behind us can (`odd_text`)."""
    try:
        value = exact_json.loads(text)
    except ValueError as error:
        try:
            return exact_json.loads_leniently(text), True
        except ValueError:
            msg = f"{what} not JSON: {error}."
            raise BadRequestError(msg) from None
    if isinstance(text, str):
        return value, "\\u0000" in text or _is_too_deep(value, text.count("[") + text.count("{"))
    # Counting is quick, and hardly any request has as many brackets as would be too deep.
    return value, b"\\u0000" in text or _is_too_deep(value, text.count(b"[") + text.count(b"{"))


def _is_too_deep(value: Any, brackets: int) -> bool:
    return brackets > MOST_LEVELS and exact_json.is_deeper_than(MOST_LEVELS, value)


def _too_large(limit: int) -> BadRequestError:
    text = f"The request body is larger than the limit of {limit} bytes (HEADWATER_BODY_LIMIT)."
    return BadRequestError(text, status=413)


def _operations(body: Any, odd: bool) -> Operation | list[Operation | BadRequestError]:
    """The operation, or the batch in order; a bad one in a batch fails alone."""
    if isinstance(body, list):
        if not body:
            msg = "The batch of operations is empty."
            raise BadRequestError(msg)
        if len(body) > BATCH_LIMIT:
            msg = (
                f"The batch has {len(body)} operations; at most {BATCH_LIMIT} are answered at once."
            )
            raise BadRequestError(msg)
        batch: list[Operation | BadRequestError] = []
        for item in body:
            try:
                batch.append(_operation(item, odd))
            except BadRequestError as error:
                batch.append(error)
        return batch
    return _operation(body, odd)


def _asked(query_string: bytes, headers: Headers) -> Operation:
    """The operation of a GET's address; it must be a query."""
    # A page of another site can make a browser send a GET without asking; it could not read the answer, but it could
    # keep the database at work. Browsers say where a request comes from, and other clients say nothing.
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        msg = "A GET from a page of another site is not answered; send a POST."
        raise BadRequestError(msg, status=403)
    given = QueryParams(query_string)
    body = {
        "query": given["query"],
        "variables": given.get("variables"),
        "operationName": given.get("operationName"),
    }
    return replace(_operation(body, odd=False), may_write=False)


def _operation(item: Any, odd: bool) -> Operation:
    if not isinstance(item, dict):
        msg = "A GraphQL request is a JSON object with the key `query`."
        raise BadRequestError(msg)
    query = item.get("query")
    if not isinstance(query, str) or not query.strip():
        msg = "The key `query` must be a string with a GraphQL document."
        raise BadRequestError(msg)
    variables = item.get("variables")
    if isinstance(variables, str):  # prefect.Client sends json.dumps(variables)
        variables, are_odd = _json(variables or "null", "The key `variables` is a string that is")
        odd = odd or are_odd
    if variables is not None and not isinstance(variables, dict):
        msg = "The key `variables` must be an object, a string of JSON, or null."
        raise BadRequestError(msg)
    name = item.get("operationName")
    if name is not None and not isinstance(name, str):
        msg = "The key `operationName` must be a string or null."
        raise BadRequestError(msg)
    # A literal has one more way to write U+0000.
    return Operation(query, variables, name or None, odd=odd or "\\u{" in query)


async def _one(
    operations: Operations, item: Operation | BadRequestError, context: Context
) -> Answer:
    if isinstance(item, BadRequestError):
        return _error(str(item), code="BAD_REQUEST", status=200)
    return await operations.run(item, context)


def _error(text: str, *, code: str, status: int) -> Answer:
    error = GraphQLError(text, extensions={"code": code})
    return Answer(orjson.dumps({"errors": [error.formatted]}), status=status)


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
    value = compat.header_uuid(headers.get(name))
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
