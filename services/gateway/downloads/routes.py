"""The routes of downloads: authentication, parameters, and the answer as a stream."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import orjson
from graphql import GraphQLError
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import log
from libs.runtime.failures import is_outage
from libs.runtime.http_protocol import CONNECTION, is_of
from services.gateway import compat
from services.gateway.downloads import parameters
from services.gateway.downloads.lines import Lines
from services.gateway.downloads.tables import Tables, header
from services.gateway.fair_queue import Owner
from services.gateway.identity import Identity
from services.gateway.permissions import needs
from services.gateway.reads import BadVariables
from services.gateway.reads.caller import Caller
from services.gateway.requests import BadRequestError
from services.gateway.shares import BusyError, Shares

_STATUS = {
    compat.UNAUTHENTICATED: 401,
    compat.FORBIDDEN: 403,
    "NOT_FOUND": 404,
    compat.API_ERROR: 503,
    "STATEMENT_TIMEOUT": 503,
    "INTERNAL_SERVER_ERROR": 500,
}
_LOGS = needs("read:log")
_LEVEL_OF_GZIP = 3  # logs shrink to a tenth by it already, at a third of the time of 6
_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_log = log.get("gateway")


class Authenticator(Protocol):
    """The authenticator."""

    async def identify(self, headers: Mapping[str, str], address: str = "") -> Identity | Refused:
        """The caller, or the reason for a refusal."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request of an authenticated caller."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    identity: Identity
    caller: Callable[[], Caller]
    """One for each page: the bytes of a page are released before the next is read."""

    @property
    def owner(self) -> Owner:
        """Whose share is used."""
        return self.identity.owner


@dataclass(frozen=True, slots=True)
class _Answer:
    """A stream, or a body. `parts` has the first part already, so errors before it get a status."""

    content_type: str
    parts: AsyncGenerator[bytes, None]
    file: str | None = None


class _FailedError(Exception):
    """An answer without content."""

    def __init__(self, status: int, text: str, code: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


Handler = Callable[[_Asked], Awaitable[_Answer]]


class Downloads:
    """Answers downloads and searches."""

    def __init__(self, authenticator: Authenticator, lines: Lines, tables: Tables) -> None:
        self._authenticator = authenticator
        self.lines = lines
        self._tables = tables
        # Most connections of the read pool that render pages at once; one tenant has half of them.
        self._pages = Shares(
            "download_pages",
            2,
            of_tenant=1,
            of_key=1,
            patience=10.0,
            what="their downloads to go on",
        )
        self._open = Shares(
            "downloads", 64, of_tenant=16, of_key=8, patience=1.0, what="their downloads to end"
        )

    def routes(self) -> list[BaseRoute]:
        """For the application that has the pages."""
        return [
            Route(path, _Endpoint(self, handler), methods=["GET"])
            for path, handler in (
                ("/api/flow-runs/{id}/logs", self._log),
                ("/api/flow-runs/{id}/logs/search", self._search),
                ("/api/tables/{name}.csv", self._table),
            )
        ]

    async def identify(self, headers: Mapping[str, str], address: str) -> Identity:
        """The caller; raises an error with the reason of a refusal."""
        identity = await self._authenticator.identify(headers, address)
        if isinstance(identity, Refused):
            raise compat.error_of(identity)
        if identity.renewing is not None:
            msg = "A refresh token is good for refresh_token alone; send the token that it gives."
            raise _FailedError(401, msg, compat.UNAUTHENTICATED)
        return identity

    def opened(self, owner: Owner) -> Any:
        """`async with` it for as long as a download lasts; raises BusyError."""
        return self._open.of(owner)

    async def _log(self, asked: _Asked) -> _Answer:
        wanted = parameters.log_download(asked.query)
        run_id = await self._run_id(asked)
        parts = self._lines_of(asked, run_id, wanted)
        suffix, content = "log", "text/plain; charset=utf-8"
        if wanted.format == "ndjson":
            suffix, content = "ndjson", "application/x-ndjson"
        if wanted.gzip:
            return _Answer("application/gzip", _zipped(parts), f"flow-run-{run_id}.{suffix}.gz")
        return _Answer(content, parts, f"flow-run-{run_id}.{suffix}")

    async def _lines_of(
        self, asked: _Asked, run_id: UUID, wanted: parameters.LogDownload
    ) -> AsyncGenerator[bytes, None]:
        after: parameters.Cursor | None = wanted.after
        while after is not None:
            caller = asked.caller()
            try:
                async with self._pages.of(asked.owner):
                    page = await self.lines.page(
                        asked.identity.tenant_id,
                        run_id,
                        wanted.filter,
                        after,
                        form=wanted.format,
                        caller=caller,
                    )
                yield page.body
            finally:
                caller.let_go()
            after = page.after

    async def _search(self, asked: _Asked) -> _Answer:
        wanted = parameters.log_search(asked.query)
        run_id = await self._run_id(asked)
        caller = asked.caller()

        async def found() -> AsyncGenerator[bytes, None]:
            try:
                yield await self.lines.search(asked.identity.tenant_id, run_id, wanted, caller)
            finally:
                caller.let_go()

        return _Answer("application/json", found())

    async def _run_id(self, asked: _Asked) -> UUID:
        if not asked.identity.rights.may(_LOGS):
            raise compat.error_of(Refused(code=Code.FORBIDDEN))
        run_id = parameters.uuid_of("flow run id", asked.path["id"])
        if not await self.lines.is_there(asked.identity.tenant_id, run_id, asked.caller()):
            raise _FailedError(404, f"There is no flow run {run_id}.", "NOT_FOUND")
        return run_id

    async def _table(self, asked: _Asked) -> _Answer:
        wanted = parameters.table_download(asked.query)
        table = self._tables.table(asked.path["name"])
        if table is None:
            msg = (
                "There is no such table; its name is that of the list in GraphQL, such as flow_run."
            )
            raise _FailedError(404, msg, "NOT_FOUND")
        columns = self._tables.columns(table, wanted)

        async def parts() -> AsyncGenerator[bytes, None]:
            head, after = header(columns), wanted.after
            while True:
                caller = asked.caller()
                try:
                    async with self._pages.of(asked.owner):
                        page = await self._tables.page(
                            table,
                            columns,
                            wanted,
                            after,
                            identity=asked.identity,
                            caller=caller,
                        )
                    yield head + page.body
                finally:
                    caller.let_go()
                if page.after is None:
                    return
                head, after = b"", page.after

        return _Answer("text/csv; charset=utf-8", parts(), f"{table.name}.csv")


class _Endpoint:
    """One address as an ASGI application."""

    def __init__(self, downloads: Downloads, handler: Handler) -> None:
        self._downloads = downloads
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one GET; work stops when the client leaves."""
        caller = Caller(connection=scope.get(CONNECTION))
        try:
            with caller.while_there():
                await self._answer(scope, send, caller)
        except asyncio.CancelledError:
            if not caller.has_left:
                raise

    async def _answer(self, scope: Scope, send: Send, there: Caller) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in reversed(scope["headers"])
        }
        try:
            _check_site(headers)
            identity = await self._downloads.identify(headers, _address(scope))
            owner = identity.owner
            is_of(scope, identity.tenant_id)

            def page_caller() -> Caller:
                return Caller(owner, there.connection)

            query = _single(scope["query_string"])
            asked = _Asked(scope["path_params"], query, identity, page_caller)
            async with self._downloads.opened(owner):
                answer = await self._handler(asked)
                # Closed at once when the client leaves, to release the memory of a page.
                async with aclosing(answer.parts):
                    first = await anext(answer.parts, b"")
                    await _start(send, answer)
                    await self._send_all(scope, send, headers, answer, first)
        except (_FailedError, BadRequestError, BadVariables, GraphQLError, BusyError) as error:
            await _send_failure(send, error)
        except Exception as error:
            if not is_outage(error):
                raise
            await _send_failure(send, error)

    async def _send_all(
        self, scope: Scope, send: Send, headers: Mapping[str, str], answer: _Answer, part: bytes
    ) -> None:
        """Send to the end, or close the connection: the status is sent already, so this is the only sign of an
        incomplete download."""
        try:
            while scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": part, "more_body": True})
                following = await anext(answer.parts, None)
                if following is None:
                    break
                part = following
                # Nothing more is sent for a key that has ended meanwhile; it is looked up once a second at most.
                await self._downloads.identify(headers, _address(scope))
        except Exception as error:
            _log.warning("download_aborted", path=scope["path"], reason=str(error))
            connection = scope.get(CONNECTION)
            if connection is None:
                raise
            connection.drop("download_failed")
            return
        await send({"type": "http.response.body", "body": b""})


async def _zipped(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    packer = zlib.compressobj(_LEVEL_OF_GZIP, zlib.DEFLATED, 31)
    async with aclosing(parts):
        async for part in parts:
            # In a thread: zlib releases the GIL while it works.
            packed = await asyncio.to_thread(packer.compress, part)
            if packed:
                yield packed
    yield packer.flush()


async def _start(send: Send, answer: _Answer) -> None:
    headers = [(b"content-type", answer.content_type.encode()), *_HEADERS]
    if answer.file is not None:
        headers.append((b"content-disposition", f'attachment; filename="{answer.file}"'.encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _send_failure(send: Send, error: Exception) -> None:
    status, text, code = _failure(error)
    body = orjson.dumps({"errors": [{"message": text, "extensions": {"code": code}}]})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *_HEADERS,
    ]
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _failure(error: Exception) -> tuple[int, str, str]:
    """The status, the sentence and the code."""
    match error:
        case _FailedError():
            return error.status, str(error), error.code
        case BadRequestError():
            return error.status, str(error), "BAD_REQUEST"
        case BadVariables():
            # The variable is internal; people know the parameter.
            text = "; ".join(each.message for each in error.errors).replace("'$where'", "'where'")
            return 400, f"where: {text}", "BAD_REQUEST"
        case BusyError():
            return 429, str(error), "BUSY"
        case GraphQLError():
            code = str((error.extensions or {}).get("code", "BAD_REQUEST"))
            return _STATUS.get(code, 400), error.message, code
    return (
        503,
        "Unable to complete operation: PostgreSQL does not answer; try again.",
        compat.API_ERROR,
    )


def _check_site(headers: Mapping[str, str]) -> None:
    """A page of another site can make a browser send requests; it cannot read the answers, but could keep the database
    busy."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        msg = "A GET from a page of another site is not answered."
        raise BadRequestError(msg, status=403)


def _single(query_string: bytes) -> Mapping[str, str]:
    given = QueryParams(query_string)
    names: Sequence[str] = [name for name, _ in given.multi_items()]
    for name in names:
        if names.count(name) > 1:
            msg = f"{name[:80]!r} is given more than once; give it once."
            raise BadRequestError(msg)
    return dict(given)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""
