"""GraphQL over HTTP as real clients speak it (clients.md sections 2, 11; ui-client.md section 1).

One POST route at `/`, `/graphql` and `/graphql/alpha`. `variables` may be an object, a string of JSON, or absent; a
JSON array of operations is answered in order, and one failing operation does not fail the rest.
"""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from graphql import GraphQLError

from libs.contracts.base import Refused
from libs.runtime import metrics
from libs.runtime.http import Probe, health_routes
from libs.runtime.trace import HEADER, Tracing
from services.gateway.context import Context, Lease, Shared
from services.gateway.graphql import compat
from services.gateway.identity import Door
from services.gateway.operations import Answer, Operation, Operations

JSON = "application/json"
LEASED = "/lease/{flow_run_id:uuid}/{lease_token:uuid}"
BATCH_LIMIT = 100  # operations in one array; the web UI sends 25 at most

PAGES = Path(__file__).with_name("pages")


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
) -> FastAPI:
    """The gateway's HTTP application. Health and metrics are part of it unless they have a port of their own."""
    app = FastAPI(title="Headwater", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=shared.settings.cors_origins,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["*"],
        max_age=600,
    )

    async def graphql(request: Request) -> Response:
        started = asyncio.get_running_loop().time()
        response = await (answer_of(request) if tracing is None else traced(tracing, request))
        kind = "batch" if response.body[:1] == b"[" else "single"
        metrics.HTTP_SECONDS.labels(kind, str(response.status_code)).observe(
            asyncio.get_running_loop().time() - started
        )
        return response

    async def traced(tracing: Tracing, request: Request) -> Response:
        # The route's pattern, not the path: a leased path holds a token.
        route = request.scope["route"].path
        with tracing.span(
            f"POST {route}",
            "server",
            within=request.headers.get(HEADER),
            attributes={"http.request.method": "POST", "http.route": route},
        ) as span:
            response = await answer_of(request)
            span.set_attribute("http.response.status_code", response.status_code)
            return response

    async def answer_of(request: Request) -> Response:
        try:
            given = _operations(await _read(request, shared.settings.body_limit))
        except BadRequestError as error:
            answer = _error(str(error), code="BAD_REQUEST", status=error.status)
            return Response(answer.body, status_code=answer.status, media_type=JSON)
        identity = await door.identify(request.headers)
        if isinstance(identity, Refused):
            refused = compat.error_of(identity)
            body = orjson.dumps({"errors": [refused.formatted], "data": None})
            return Response(body, media_type=JSON)
        context = Context(
            shared=shared,
            identity=identity,
            core_version=request.headers.get("x-prefect-core-version"),
            agent_id=_uuid_header(request, "x-prefect-agent-id"),
            lease=_lease(request),
        )
        if isinstance(given, Operation):
            answer = await operations.run(given, context)
            return Response(answer.body, status_code=answer.status, media_type=JSON)
        answers = await asyncio.gather(*(_one(operations, item, context) for item in given))
        return Response(b"[" + b",".join(a.body for a in answers) + b"]", media_type=JSON)

    for path in ("/", "/graphql", "/graphql/", "/graphql/alpha"):
        app.add_api_route(path, graphql, methods=["POST"], include_in_schema=False)
        # Processes of native agents: unchanged clients cannot carry a lease, so their address does (see libs/agent).
        app.add_api_route(LEASED + path, graphql, methods=["POST"], include_in_schema=False)
    app.add_api_route(LEASED, graphql, methods=["POST"], include_in_schema=False)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        """The query editor, for people."""
        return FileResponse(PAGES / "index.html", media_type="text/html")

    app.mount("/pages", StaticFiles(directory=PAGES), name="pages")
    if shared.settings.health_port is None:
        app.router.routes.extend(health_routes(probe))
    return app


async def _read(request: Request, limit: int) -> Any:
    """The body as JSON, read no further than the limit."""
    too_large = (
        f"The request body is larger than the limit of {limit} bytes (HEADWATER_BODY_LIMIT)."
    )
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise BadRequestError(too_large, status=413)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BadRequestError(too_large, status=413)
    try:
        return orjson.loads(bytes(body))
    except orjson.JSONDecodeError as error:
        msg = f"The request body is not JSON: {error}."
        raise BadRequestError(msg) from None


def _operations(body: Any) -> Operation | list[Operation | BadRequestError]:
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
                batch.append(_operation(item))
            except BadRequestError as error:
                batch.append(error)
        return batch
    return _operation(body)


def _operation(item: Any) -> Operation:
    if not isinstance(item, dict):
        msg = "A GraphQL request is a JSON object with the key `query`."
        raise BadRequestError(msg)
    query = item.get("query")
    if not isinstance(query, str) or not query.strip():
        msg = "The key `query` must be a string with a GraphQL document."
        raise BadRequestError(msg)
    variables = item.get("variables")
    if isinstance(variables, str):  # prefect.Client sends json.dumps(variables)
        try:
            variables = orjson.loads(variables or "null")
        except orjson.JSONDecodeError as error:
            msg = f"The key `variables` is a string that is not JSON: {error}."
            raise BadRequestError(msg) from None
    if variables is not None and not isinstance(variables, dict):
        msg = "The key `variables` must be an object, a string of JSON, or null."
        raise BadRequestError(msg)
    name = item.get("operationName")
    if name is not None and not isinstance(name, str):
        msg = "The key `operationName` must be a string or null."
        raise BadRequestError(msg)
    return Operation(query=query, variables=variables, name=name or None)


async def _one(
    operations: Operations, item: Operation | BadRequestError, context: Context
) -> Answer:
    if isinstance(item, BadRequestError):
        return _error(str(item), code="BAD_REQUEST", status=200)
    return await operations.run(item, context)


def _error(text: str, *, code: str, status: int) -> Answer:
    error = GraphQLError(text, extensions={"code": code})
    return Answer(orjson.dumps({"errors": [error.formatted]}), status=status)


def _lease(request: Request) -> Lease | None:
    params = request.path_params
    if "lease_token" not in params:
        return None
    return Lease(params["flow_run_id"], params["lease_token"])


def _uuid_header(request: Request, name: str) -> UUID | None:
    value = compat.header_uuid(request.headers.get(name))
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
