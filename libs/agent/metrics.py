"""What the agent counts, and the small HTTP server that shows it: `/metrics` for Prometheus, `/health`."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_HELP = {
    "claims": "Claims sent",
    "claimed_runs": "Runs that the ledger gave to this agent",
    "started": "Processes started",
    "adopted": "Processes of an earlier agent taken over",
    "returned": "Runs given back before they started",
    "lost": "Runs whose lease was lost",
    "cancelled": "Processes stopped because their run was cancelled",
    "exited": "Processes that ended, by how",
    "log_lines": "Lines of output forwarded",
    "pings": "Pings sent for live processes",
    "reconnects": "Reconnections to NATS",
}


@dataclass(slots=True)
class Metrics:
    """Counters by name and label, gauges by function, and the time from due to process start."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    gauges: dict[str, Callable[[], float]] = field(default_factory=dict)
    start_latencies: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    start_seconds: float = 0.0

    def count(self, name: str, number: int = 1, *, how: str = "") -> None:
        """One or more of `name`."""
        self.counts[name, how] += number

    def started(self, seconds_after_due: float) -> None:
        """A process was started so long after its run was due."""
        self.count("started")
        self.start_seconds += seconds_after_due
        place = next((i for i, b in enumerate(_BUCKETS) if seconds_after_due <= b), len(_BUCKETS))
        self.start_latencies[place] += 1

    def text(self) -> str:
        """The Prometheus text format."""
        lines: list[str] = []
        for name, help_ in _HELP.items():
            metric = f"headwater_agent_{name}_total"
            lines += [f"# HELP {metric} {help_}", f"# TYPE {metric} counter"]
            found = {how: n for (key, how), n in self.counts.items() if key == name} or {"": 0}
            for how, number in sorted(found.items()):
                label = f'{{how="{how}"}}' if how else ""
                lines.append(f"{metric}{label} {number}")
        for name, gauge in self.gauges.items():
            metric = f"headwater_agent_{name}"
            lines += [f"# TYPE {metric} gauge", f"{metric} {gauge():g}"]
        return "\n".join([*lines, *self._histogram(), ""])

    def _histogram(self) -> list[str]:
        metric = "headwater_agent_due_to_start_seconds"
        lines = [
            f"# HELP {metric} From a run's due moment to the start of its process",
            f"# TYPE {metric} histogram",
        ]
        total = 0
        for bound, number in zip(
            [*(f"{b:g}" for b in _BUCKETS), "+Inf"], self.start_latencies, strict=True
        ):
            total += number
            lines.append(f'{metric}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{metric}_sum {self.start_seconds:g}", f"{metric}_count {total}"]


async def serve(metrics: Metrics, is_healthy: Callable[[], bool], *, port: int) -> asyncio.Server:
    """Answer GET on loopback."""

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
            pass  # whoever asked has gone, or never asked
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port)
