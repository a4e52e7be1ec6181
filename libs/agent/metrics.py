"""The agent's metrics, and the small HTTP server for them: `/metrics` for Prometheus, `/health`.

The numbers are prometheus_client's. Its own server answers nothing but metrics, and needs a thread.
"""

import asyncio
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_COUNTED = {
    "claims": "Claims sent",
    "claimed_runs": "Runs that the ledger gave to this agent",
    "started": "Processes started",
    "adopted": "Processes of an earlier agent taken over",
    "returned": "Runs given back before they started",
    "lost": "Runs whose lease was lost",
    "cancelled": "Processes stopped because their run was cancelled",
    "log_lines": "Lines of output forwarded",
    "pings": "Pings sent for live processes",
    "reconnects": "Reconnections to NATS",
}


class Metrics:
    """Counters by name, gauges by function, and the time from due to process start. A registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._counters = {
            name: Counter(f"headwater_agent_{name}", text, registry=self._registry)
            for name, text in _COUNTED.items()
        }
        self._exited = Counter(
            "headwater_agent_exited",
            "Processes that ended, by how",
            ["how"],
            registry=self._registry,
        )
        self._due_to_start = Histogram(
            "headwater_agent_due_to_start_seconds",
            "From when a run was due to the start of its process",
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def count(self, name: str, number: int = 1) -> None:
        """One or more of `name`."""
        self._counters[name].inc(number)

    def exited(self, how: str) -> None:
        """A process ended, and how."""
        self._exited.labels(how).inc()

    def started(self, seconds_after_due: float) -> None:
        """A process was started so long after its run was due."""
        self.count("started")
        self._due_to_start.observe(seconds_after_due)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is computed when scraped."""
        gauge = Gauge(f"headwater_agent_{name}", text, registry=self._registry)
        gauge.set_function(value)

    def text(self) -> str:
        """The Prometheus text format."""
        return generate_latest(self._registry).decode()


async def serve(metrics: Metrics, is_healthy: Callable[[], bool], *, port: int) -> asyncio.Server:
    """Answer GET on loopback."""
    # The `_created` series are not needed here, and would double the series. The setting is process-wide.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # not in its annotations

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                request = (await reader.readline()).split(b" ")
                while (await reader.readline()).strip():
                    pass
            path = request[1] if len(request) > 1 else b""
            if path == b"/metrics":
                status, body = "200 OK", metrics.text()
            elif path == b"/health":
                healthy = is_healthy()
                status = "200 OK" if healthy else "503 Service Unavailable"
                body = '{"status":"ok"}' if healthy else '{"status":"not connected to NATS"}'
            else:
                status, body = "404 Not Found", ""
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n"
                f"Content-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n{body}".encode()
            )
            await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # the client has gone, or never sent a request
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port)
