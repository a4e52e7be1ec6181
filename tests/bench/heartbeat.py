"""A million live runs: `python -m tests.bench.heartbeat [--runs 1000000] [--seconds 60] [--stop 10000]`.

So many runs ping every 30 s straight over NATS, from a process of its own, against one heartbeat service, a broker and
a PostgreSQL on this machine. Then some fall silent at once. Figures: CPU of the service, of the broker and of
PostgreSQL, in cores and per ping, beside what a bare reader of the same bytes costs; the service's memory over time;
false zombies (must be none); when the silent ones were announced, counted from their own last ping. The defaults take
about seven minutes; `--seconds 600` is the record.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import threading
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import psutil

from libs.contracts import subjects
from libs.runtime.ids import new_id
from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.flows import TENANT, a_flow

# They began before the bench did: each is guarded, as its Running state would have had it.
RUNS = """
INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, version, heartbeat, scheduled_start_time,
                           state, state_timestamp, serialized_state)
SELECT r, f.tenant_id, f.id, f.flow_group_id, 'a run', 3, now(), now(), 'Running', now(), '{}'
FROM registry.flow f, unnest($2::uuid[]) AS r WHERE f.id = $1
"""
GUARDED = """
INSERT INTO heartbeat.last_seen (flow_run_id, tenant_id, at)
SELECT id, tenant_id, now() - interval '2 minutes' * random() FROM runs.flow_run
"""
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of the three, up to a moment."""

    at: float
    service: float
    broker: float
    postgres: float

    def since(self, before: "Spent", pings: int) -> str:
        """The difference, in cores and microseconds a ping."""
        took = self.at - before.at
        parts = [
            (name, getattr(self, name) - getattr(before, name))
            for name in ("service", "broker", "postgres")
        ]
        return ", ".join(
            f"{name} {cpu / took:.2f} cores ({cpu / pings * 1e6:.1f} us a ping)"
            for name, cpu in parts
        )


async def main(arguments: argparse.Namespace) -> int:
    """Print the figures; 1 if a run was wrongly announced, or a silent one was not found."""
    async with (
        postgres_for_tests() as postgres,
        stack_on(postgres) as stack,
    ):
        with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
            file = Path(folder) / "runs"
            await _make_runs(stack, arguments.runs, file)
            async with (
                _service(stack, arguments) as service,
                _crowd(stack, file, arguments) as crowd,
            ):
                return await _measure(stack, service, crowd, Path(folder), arguments)


async def _make_runs(stack: Stack, count: int, file: Path) -> None:
    began = time.monotonic()
    flow = await a_flow(stack.admin_pool, active=False)
    with file.open("w") as lines:
        for start in range(0, count, _CHUNK):
            ids = [new_id() for _ in range(min(_CHUNK, count - start))]
            await stack.admin_pool.execute(RUNS, flow, ids, timeout=120)
            lines.writelines(f"{run}\n" for run in ids)
    await stack.admin_pool.execute(GUARDED, timeout=600)
    await stack.admin_pool.execute("VACUUM ANALYZE runs.flow_run", timeout=600)
    await stack.admin_pool.execute("VACUUM ANALYZE heartbeat.last_seen", timeout=600)
    print(f"{count:,} live runs made in {time.monotonic() - began:.0f} s", flush=True)


@asynccontextmanager
async def _service(stack: Stack, arguments: argparse.Namespace) -> AsyncIterator[Process]:
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.heartbeat"),
        env=os.environ
        | {
            "HEADWATER_POSTGRES_URL": stack.postgres_url("heartbeat"),
            "HEADWATER_NATS_URL": stack.nats_url,
            "HEADWATER_HEARTBEAT_INTERVAL": f"PT{arguments.interval:.0f}S",
            "HEADWATER_HEARTBEAT_MISSES": f"{arguments.silence / arguments.interval:.0f}",
            "HEADWATER_HEARTBEAT_WRITE_INTERVAL": f"PT{2 * arguments.interval:.0f}S",
            "HEADWATER_HEARTBEAT_CHECK_INTERVAL": f"PT{arguments.interval / 6}S",
            "HEADWATER_HEARTBEAT_NEEDS_GATEWAY": "false",
        },
        stderr=None if arguments.verbose else DEVNULL,
    )
    try:
        yield service
    finally:
        service.terminate()
        await service.wait()


@asynccontextmanager
async def _crowd(stack: Stack, file: Path, arguments: argparse.Namespace) -> AsyncIterator[Process]:
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.pinger", "--nats", stack.nats_url),
        *("--tenant", str(TENANT), "--runs", str(file)),
        *("--interval", str(arguments.interval)),
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        yield crowd
    finally:
        crowd.kill()
        await crowd.wait()


async def _measure(
    stack: Stack, service: Process, crowd: Process, folder: Path, arguments: argparse.Namespace
) -> int:
    spent = _accounts(stack, service.pid)
    memory = psutil.Process(service.pid).memory_info
    resident: list[int] = []
    await _round(crowd)  # the first makes the broker and the service know everybody
    bare = await _read_barely(stack, crowd)
    sent_before = await _round(crowd)
    before = spent()
    sent = sent_before
    while spent().at - before.at < arguments.seconds:
        sent = await _round(crowd)
        resident.append(memory().rss >> 20)
    after, pings = spent(), sent - sent_before
    false = await stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.zombie")
    print(
        f"{arguments.runs:,} live runs, {pings / (after.at - before.at):,.0f} pings/s for"
        f" {after.at - before.at:.0f} s: {after.since(before, pings)}\n"
        f"a reader that takes the same bytes and does nothing with them: {bare * 1e6:.1f} us a ping\n"
        f"the service's memory after each round: {', '.join(map(str, resident))} MiB\n"
        f"{false} false zombies",
        flush=True,
    )
    silent = folder / "silent"
    assert crowd.stdin is not None
    crowd.stdin.write(f"stop {arguments.stop} {silent}\n".encode())
    await _until(crowd, "stopped")
    last = {UUID(run): float(at) for run, at in map(str.split, silent.read_text().splitlines())}
    keep_reading = asyncio.create_task(_for_ever(crowd))
    deadline = time.monotonic() + arguments.silence + arguments.interval + 60
    while time.monotonic() < deadline:
        found = await stack.admin_pool.fetchval("SELECT count(*) FROM heartbeat.zombie")
        if found >= false + arguments.stop:
            break
        await asyncio.sleep(2)
    keep_reading.cancel()
    rows = await stack.admin_pool.fetch(
        "SELECT flow_run_id, extract(epoch FROM detected)::float8 AS at FROM heartbeat.zombie"
    )
    waits = sorted(r["at"] - last[r["flow_run_id"]] for r in rows if r["flow_run_id"] in last)
    false = len(rows) - len(waits)
    late = sum(wait > arguments.silence + 10 for wait in waits)
    span = f"{waits[0]:.1f} to {waits[-1]:.1f} s after their last ping" if waits else "at all"
    print(
        f"{arguments.stop:,} fell silent: {len(waits):,} announced {span} (silence {arguments.silence:.0f} s),"
        f" {late} of them more than 10 s after their cut-off, {false} false"
    )
    return int(false > 0 or late > 0 or len(waits) < arguments.stop)


async def _read_barely(stack: Stack, crowd: Process) -> float:
    """CPU seconds a ping of a bare socket on the same subject, for a round."""
    over = threading.Event()
    reading = asyncio.create_task(asyncio.to_thread(_read_until, over, stack.nats_url))
    await _round(crowd)
    over.set()
    pings, cpu = await reading
    return cpu / pings


def _read_until(over: threading.Event, url: str) -> tuple[int, float]:
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    login = {"verbose": False, "headers": True, "user": address.username, "pass": address.password}
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        subscribe = f"SUB {subjects.BEAT.wildcard} 1\r\n"
        connection.sendall(f"CONNECT {json.dumps(login)}\r\n{subscribe}".encode())
        pings, began = 0, time.thread_time()
        while not over.is_set():
            pings += connection.recv(1 << 18).count(b"MSG ")
        return pings, time.thread_time() - began


def _accounts(stack: Stack, service: int) -> Callable[[], Spent]:
    assert stack.nats is not None
    assert stack.postgres is not None
    one, broker = psutil.Process(service), psutil.Process(stack.nats.pid)
    postmaster = psutil.Process(stack.postgres.pid)

    def spent() -> Spent:
        children = sum(sum(p.cpu_times()[:2]) for p in postmaster.children() if p.is_running())
        ended = sum(postmaster.cpu_times()[:4])
        return Spent(
            time.monotonic(),
            sum(one.cpu_times()[:2]),
            sum(broker.cpu_times()[:2]),
            children + ended,
        )

    return spent


async def _round(crowd: Process) -> int:
    return int((await _until(crowd, "sent")).split()[1])


async def _until(crowd: Process, word: str) -> str:
    assert crowd.stdout is not None
    while line := (await crowd.stdout.readline()).decode():
        if (
            not line.startswith(word)
            or float(line.rsplit(maxsplit=1)[-1] if word == "sent" else 0) > 1
        ):
            print(f"(the crowd) {line.strip()}", flush=True)
        if line.startswith(word):
            return line
    raise RuntimeError("the crowd ended")


async def _for_ever(crowd: Process) -> None:
    while True:
        await _round(crowd)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=30)
    parser.add_argument("--silence", type=float, default=120)
    parser.add_argument("--stop", type=int, default=10_000)
    parser.add_argument("--verbose", action="store_true", help="show what the service logs")
    sys.exit(asyncio.run(main(parser.parse_args())))
