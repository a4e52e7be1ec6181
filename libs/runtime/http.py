"""An HTTP server inside a service: uvicorn on a socket of ours, without its signal handlers."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from libs.runtime import metrics
from libs.runtime.http_limits import Connections, HttpLimits
from libs.runtime.http_protocol import Protocol
from libs.runtime.http_websocket import (
    MESSAGE_BYTES,
    PING_INTERVAL,
    PING_TIMEOUT,
    WebSocketProtocol,
)

_ACCEPTED_AT_ONCE = 16
"""Connections taken in one turn of the event loop.

libuv takes one a turn and listener. With one listener, when connections came faster than the loop turned, each waited
behind all earlier ones, also those whose clients had left: two seconds with 400 a second, on an idle machine.
"""


class _Server(uvicorn.Server):
    """The process that hosts it decides when to stop, so signals are not uvicorn's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Listens from `start` to `stop`; `port` is the real one where 0 was asked."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        drain_timeout: timedelta,
        variable: str,
        limits: HttpLimits | None = None,
        websockets: bool = False,
    ) -> None:
        """`websockets` lets clients change over to one; the application gets scopes of that type then."""
        self._host = host
        self.port = port
        self._drain = drain_timeout
        self._variable = variable
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._limits = limits or HttpLimits()
        self._websockets = websockets

    async def start(self, app: ASGIApp) -> None:
        """Open the port and return when requests are answered. OSError says which variable to change."""
        listener = self._listen()
        self.port = listener.getsockname()[1]
        listeners = [listener, *(listener.dup() for _ in range(_ACCEPTED_AT_ONCE - 1))]
        connections = Connections(self._limits)
        self._server = _Server(
            uvicorn.Config(
                app,
                http=partial(Protocol, among=connections),  # type: ignore[arg-type]  # it makes the class's instances
                ws=partial(WebSocketProtocol, among=connections) if self._websockets else "none",  # type: ignore[arg-type]  # the same
                ws_max_size=MESSAGE_BYTES,
                ws_ping_interval=PING_INTERVAL,
                ws_ping_timeout=PING_TIMEOUT,
                ws_per_message_deflate=False,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_keep_alive=int(self._limits.idle_time.total_seconds()),
                timeout_graceful_shutdown=max(1, int(self._drain.total_seconds())),
                server_header=False,
                proxy_headers=False,  # the client's address is not used
            )
        )
        self._serving = asyncio.create_task(self._server.serve(sockets=listeners), name="http")
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                msg = "the HTTP server ended while it started"
                raise OSError(msg)
            await asyncio.sleep(0.01)
        self._watching = asyncio.create_task(_watch(connections), name="http-time")

    async def stop(self) -> None:
        """Close the port, answer the requests in flight."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.gather(self._serving, return_exceptions=True)
            self._server = None
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # The protocol is named because asyncio sets TCP_NODELAY only where it is. Without that, uvicorn's second write
        # (the body) waits for the client's delayed acknowledgement of the first (the headers): 40 ms an answer.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self.port))
            listener.listen(2048)
        except OSError as error:
            listener.close()
            msg = (
                f"cannot listen on {self._host}:{self.port} ({error.strerror});"
                f" choose another port with {self._variable}"
            )
            raise OSError(error.errno, msg) from error
        listener.setblocking(False)
        return listener


async def _watch(connections: Connections) -> None:
    """Close the connections of clients over their time limit."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(connections.limits.look_each.total_seconds())
        for connection in connections:
            connection.check_time(loop.time())


class Probe:
    """The state behind `/health` and `/ready`: reasons for a failure, empty when all is well."""

    def failed(self) -> list[str]:
        """Why this process must be restarted, one sentence per reason: it cannot recover by itself."""
        return []

    async def unready(self) -> list[str]:
        """Why the service is not useful now, one sentence per reason."""
        raise NotImplementedError

    async def degraded(self) -> list[str]:
        """Why only a part of the service works; asked only when it is ready."""
        return []

    async def details(self) -> dict[str, Any] | None:
        """How everything is, where this process knows it; None where it knows itself only."""
        return None


def health_routes(probe: Probe) -> list[Route]:
    """`/health` (the process lives), `/ready` (it can answer something useful), `/metrics` (Prometheus).

    `/ready` is 200 for a degraded service: if its proxy took it out, it would answer nothing at all. Its body says so:
    `{"ready": true, "degraded": true, "reasons": [...]}`, in this order (deploy/containers/haproxy.cfg looks for it).
    """

    async def health(_request: Request) -> Response:
        reasons = probe.failed()
        body: dict[str, object] = {"status": "failed", "reasons": reasons}
        return Response(
            orjson.dumps(body if reasons else {"status": "ok"}),
            503 if reasons else 200,
            media_type="application/json",
        )

    async def ready(_request: Request) -> Response:
        unready = await probe.unready()
        degraded = [] if unready else await probe.degraded()
        body = {
            "ready": not unready,
            "degraded": bool(degraded),
            "reasons": unready or degraded,
        }
        return Response(orjson.dumps(body), 503 if unready else 200, media_type="application/json")

    async def services(_request: Request) -> Response:
        found = await probe.details()
        if found is None:
            text = "Only gateways know how the others are; ask one of them."
            return Response(orjson.dumps({"error": text}), 404, media_type="application/json")
        return Response(orjson.dumps(found), 200, media_type="application/json")

    async def exposition(_request: Request) -> Response:
        body, content_type = metrics.exposition()
        return Response(body, media_type=content_type)

    return [
        Route("/health", health),
        Route("/ready", ready),
        Route("/health/services", services),
        Route("/metrics", exposition),
    ]


def health_app(probe: Probe) -> ASGIApp:
    """The HTTP server of a service that has no other."""
    return Starlette(routes=health_routes(probe))
