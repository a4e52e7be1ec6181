"""The HTTP server of a service."""

import socket
from datetime import timedelta

import httpx

from libs.runtime.http import HttpServer, Probe, health_app


async def test_an_answer_does_not_wait_for_the_clients_acknowledgement_of_its_headers() -> None:
    server = HttpServer(
        host="127.0.0.1", port=0, drain_timeout=timedelta(seconds=1), variable="HEADWATER_PORT"
    )
    await server.start(health_app(Probe()))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        await client.get("/health")
        assert server._server is not None
        [connection] = server._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        no_delay = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await server.stop()

    assert no_delay
