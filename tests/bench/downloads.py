"""What downloads and searches of a long log cost: `python -m tests.bench.downloads [--lines 100000]`.

A whole Headwater as users run it, in one process, so its memory is that of the gateway and more. Lines are written by
plain SQL. Measured over HTTP: until the first byte and the last one, how much memory the process has more than before
at the worst, and searches for a word. Beside them stands the limit: the same rows by COPY, and counted by plain SQL.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from uuid import UUID

import httpx
import psutil
import uvloop

from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from tests.bench.runs import Bench, a_bench, start_run

FIRST_BYTE, SEARCH = 1.0, 1.0
"""Seconds (issue 16)."""
MEMORY = 50.0
"""MB that a download of 100,000 lines may take."""
_LOOK = 0.01
_MESSAGE = "Task 'transform[{}]': finished task run for task with final state: 'Success', 4711 rows were read"
_COLUMNS = [
    "id",
    "created",
    "tenant_id",
    "flow_run_id",
    "timestamp",
    "name",
    "level",
    "message",
    "sequence",
]


async def write_lines(bench: Bench, run_id: UUID, count: int) -> None:
    """Lines of some 120 characters; one of a thousand has the word that is looked for."""
    now = utc_now()
    rows = [
        (
            new_id(), now, bench.flow.tenant_id, run_id, now + timedelta(milliseconds=number), "prefect.TaskRunner",
            "INFO", f"{_MESSAGE.format(number)}{' needle' if number % 1000 == 500 else ''}", number,
        )
        for number in range(count)
    ]  # fmt: skip
    await bench.pool.copy_records_to_table(
        "log", schema_name="runs", records=rows, columns=_COLUMNS
    )
    await bench.pool.execute("VACUUM ANALYZE runs.log")


class Memory:
    """The most that a process had while something was done, beyond what it had before."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = self.most = self._now()

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / 1e6

    async def watch(self) -> None:
        """Look until it is cancelled."""
        while True:
            self.most = max(self.most, self._now())
            await asyncio.sleep(_LOOK)

    @property
    def grown(self) -> float:
        """MB."""
        return self.most - self._before


async def download(client: httpx.AsyncClient, path: str) -> tuple[float, float, int]:
    """Seconds until the first byte and until the end, and bytes as they came."""
    began = perf_counter()
    first, size = 0.0, 0
    async with client.stream("GET", path) as answer:
        answer.raise_for_status()
        async for piece in answer.aiter_raw():
            first = first or perf_counter() - began
            size += len(piece)
    return first, perf_counter() - began, size


async def measure_download(bench: Bench, client: httpx.AsyncClient, path: str) -> None:
    """One download, and what the process had more meanwhile."""
    memory = Memory(bench.server.pid)
    watching = asyncio.create_task(memory.watch())
    before = bench.meter.read()
    first, whole, size = await download(client, path)
    after = bench.meter.read()
    watching.cancel()
    spent = sum(after.values()) - sum(before.get(name, 0.0) for name in after)
    held = "held" if first <= FIRST_BYTE and memory.grown <= MEMORY else "NOT HELD"
    print(
        f"{path.rpartition('/')[2]:24} first byte {first * 1e3:6.0f} ms, whole {whole:5.2f} s, {size / 1e6:6.1f} MB,"
        f" +{memory.grown:5.1f} MB of memory, {spent:.2f} s of CPU: {held}",
        flush=True,
    )


async def timed(work: Callable[[], Awaitable[object]], times: int = 7) -> tuple[float, float]:
    """Median and slowest, in seconds."""
    took = []
    for _ in range(times):
        began = perf_counter()
        await work()
        took.append(perf_counter() - began)
    return statistics.median(took), max(took)


async def main(*, lines: int) -> None:
    """Download a log in each form, and search it."""
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        Path(folder).chmod(0o711)
        async with (
            a_bench(Path(folder), processes=False, scale=1.0) as bench,
            httpx.AsyncClient(base_url=bench.server.url, timeout=60) as client,
        ):
            run_id = UUID(await start_run(bench))
            await write_lines(bench, run_id, lines)
            log = f"/api/flow-runs/{run_id}/logs"
            # Code is loaded and plans are made once.
            await download(client, f"{log}?level=ERROR")
            for form in ("", "?format=ndjson", "?gzip=true"):
                await measure_download(bench, client, log + form)
            await measure_copy(bench, run_id)
            await measure_search(bench, client, run_id, log)


async def measure_copy(bench: Bench, run_id: UUID) -> None:
    """The limit: PostgreSQL hands out the same rows."""

    async def ignore(_: bytes) -> None:
        pass

    async with bench.pool.acquire() as connection:
        median, _ = await timed(
            lambda: connection.copy_from_query(
                "SELECT timestamp, level, name, message FROM runs.log WHERE flow_run_id = $1"
                " ORDER BY timestamp, sequence",
                run_id,
                output=ignore,
            )
        )
    print(f"{'by COPY':24} whole {median:5.2f} s")


async def measure_search(bench: Bench, client: httpx.AsyncClient, run_id: UUID, log: str) -> None:
    """A word that few lines have, one that all have, and one that none has."""
    for text in ("needle", "transform", "nowhere"):
        median, slowest = await timed(
            lambda text=text: client.get(f"{log}/search", params={"text": text})  # type: ignore[misc] # bound now
        )
        raw, _ = await timed(
            lambda text=text: bench.pool.fetchval(  # type: ignore[misc] # bound now
                "SELECT count(*) FROM runs.log WHERE flow_run_id = $1 AND message ILIKE '%' || $2 || '%'",
                run_id,
                text,
            )
        )
        held = "held" if slowest <= SEARCH else "NOT HELD"
        print(
            f"search for {text!r:14} median {median * 1e3:6.0f} ms, slowest {slowest * 1e3:6.0f} ms,"
            f" plain SQL {raw * 1e3:6.0f} ms: {held}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    uvloop.run(main(**vars(parser.parse_args())))
