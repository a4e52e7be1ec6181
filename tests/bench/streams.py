"""What open event streams cost: `python -m tests.bench.streams`.

A whole Headwater as users run it, each service its own process. Runs and task runs change state 100 times a second:
first with nobody listening, then with 500 streams open (half server-sent events, half subscriptions), then again with
nobody. Beside the gateway's figure stands the raw limit: the same bytes written to as many sockets, by nobody else.

Budgets: < 0.3 core of the gateway for the streams, < 5% of PostgreSQL's time, a hint on the wire within 500 ms of its
commit (p95, from the request that asked for it), and a transition costs no more than it did.
"""

import argparse
import asyncio
import os
import socket
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from urllib.parse import urlsplit

import uvloop

from tests.bench.runs import (
    APPLIED,
    CREATE_FLOW_RUN,
    ID,
    RUNNING,
    SET_FLOW_RUN_STATES,
    SET_TASK_RUN_STATES,
    SUBMITTED,
    SUCCESS,
    Bench,
    a_bench,
    fresh_task_runs,
    graphql,
    lanes,
    of_run,
    say,
)
from tests.support.event_listeners import Told, listeners
from tests.support.wire_load import Load

STREAMS = 500
RATE = 100  # transitions a second
CONNECTIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A request, and what is told of it when it is done."""

    run_id: str
    version: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One stretch of steady transitions."""

    seconds: float
    cpu: dict[str, float]
    """CPU seconds by process."""
    asked: dict[tuple[str, int], float]
    """When each (id, version) was asked for."""

    def cores(self, name: str) -> float:
        return self.cpu.get(name, 0.0) / self.seconds

    def each(self, *names: str) -> float:
        """Microseconds of CPU on one transition."""
        return sum(self.cpu.get(n, 0.0) for n in names or self.cpu) * 1e6 / len(self.asked)


async def some_transitions(bench: Bench, count: int) -> list[Transition]:
    """Half of flow runs, half of task runs; the runs are there, and each is taken from state to state."""
    flow_runs, task_runs = count // 6, count // 4
    made = await bench.drive(
        Load(
            url=bench.server.url,
            lanes=lanes([graphql(CREATE_FLOW_RUN, flow_id=str(bench.flow.id))] * flow_runs, 8),
            expect=b'"id"',
            capture=ID,
        )
    )
    ids = [id_ for lane in made.captured for id_ in lane]
    of_tasks = await fresh_task_runs(bench, task_runs)
    flows = [
        Transition(
            run_id=id_,
            version=version,
            body=graphql(SET_FLOW_RUN_STATES, states=[of_run(id_, state)]),
        )
        for version, state in ((2, SUBMITTED), (3, RUNNING), (4, SUCCESS))
        for id_ in ids
    ]
    tasks = [
        Transition(
            run_id=id_,
            version=version,
            body=graphql(SET_TASK_RUN_STATES, states=[of_run(id_, state, kind="task_run")]),
        )
        for version, state in ((1, RUNNING), (2, SUCCESS))
        for id_ in of_tasks
    ]
    return [each for pair in zip(flows, tasks, strict=False) for each in pair]


async def steady(bench: Bench, transitions: Sequence[Transition]) -> Phase:
    """Ask for them one after the other, so many a second whatever the answers take."""
    asked: dict[tuple[str, int], float] = {}
    queue: asyncio.Queue[Transition | None] = asyncio.Queue()
    workers = [
        asyncio.create_task(_send_all(bench.server.url, queue, asked)) for _ in range(CONNECTIONS)
    ]
    before, began = bench.meter.read(), perf_counter()
    for number, transition in enumerate(transitions):
        await asyncio.sleep(max(0.0, began + number / RATE - perf_counter()))
        queue.put_nowait(transition)
    for _ in workers:
        queue.put_nowait(None)
    await asyncio.gather(*workers)
    seconds, after = perf_counter() - began, bench.meter.read()
    cpu = {name: after[name] - before.get(name, 0.0) for name in after}
    return Phase(seconds=seconds, cpu=cpu, asked=asked)


async def _send_all(
    url: str, queue: "asyncio.Queue[Transition | None]", asked: dict[tuple[str, int], float]
) -> None:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    while (transition := await queue.get()) is not None:
        asked[transition.run_id, transition.version] = perf_counter()
        writer.write(transition.body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        answer = await reader.readexactly(length)
        assert APPLIED in answer, answer
    writer.close()


def raw_cores(streams: int, told: Told, seconds: float) -> float:
    """Cores that writing what was told takes by itself: as many sends of as many bytes, to sockets that are read."""
    messages = sum(told.messages.values())
    size = max(1, sum(told.bytes.values()) // max(1, messages))
    pairs = [socket.socketpair() for _ in range(streams)]
    frame = b"x" * size
    began = process_time()
    for number in range(messages):
        pairs[number % streams][0].send(frame)
        if number % streams == streams - 1:
            wrote = process_time()
            for _, reader in pairs:
                reader.recv(1 << 20)
            began += process_time() - wrote
    spent = process_time() - began
    for pair in pairs:
        for end in pair:
            end.close()
    return spent / seconds


def report(quiet: Phase, watched: Phase, again: Phase, told: Told) -> None:
    """Print the figures beside their budgets."""
    alone = (quiet.cores("gateway") + again.cores("gateway")) / 2
    database = (quiet.cpu["postgres"] + again.cpu["postgres"]) / 2
    say(
        "gateway, nobody listens",
        f"{alone:.3f} core",
        f"{quiet.cores('gateway'):.3f}, {again.cores('gateway'):.3f}",
    )
    say(
        f"gateway, more with {STREAMS} streams",
        f"{watched.cores('gateway') - alone:.3f} core",
        f"raw limit {raw_cores(STREAMS, told, watched.seconds):.3f} core; {dict(told.messages)} messages",
        "< 0.3 core",
    )
    more = watched.cpu["postgres"] - database
    say("PostgreSQL, more with streams", f"{more / database:+.1%}", f"of {database:.2f} s", "< 5%")
    services = ("gateway", "runs", "postgres", "nats")
    for phase, name in ((quiet, "before"), (watched, "with streams"), (again, "after")):
        spent = ", ".join(f"{each} {phase.each(each):,.0f}" for each in services)
        say(
            f"a transition, {name}",
            f"{phase.each('runs', 'postgres'):,.0f} us",
            f"us each: {spent}",
        )
    for client in ("sse", "ws"):
        late = sorted(
            at - watched.asked[id_, version]
            for (kind, id_, version), times in told.when.items()
            if kind == client and (id_, version) in watched.asked
            for at in times
        )
        if not late:
            say(f"hint on the wire, {client}", "never", "", "p95 <= 500 ms")
            continue
        p95 = statistics.quantiles(late, n=20)[-1]
        say(
            f"hint on the wire, {client}",
            f"p95 {p95 * 1e3:.0f} ms",
            f"p50 {statistics.median(late) * 1e3:.0f}, worst {late[-1] * 1e3:.0f} ms, {len(late):,} hints",
            "<= 500 ms",
        )


async def main(*, seconds: float) -> None:
    """Measure and print."""
    os.environ["HEADWATER_EVENT_STREAMS_PER_KEY"] = str(2 * STREAMS)
    count = int(seconds * RATE)
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        async with a_bench(folder, processes=True, scale=1.0) as bench:
            await steady(bench, await some_transitions(bench, 200))
            parts = [await some_transitions(bench, count) for _ in range(3)]
            quiet = await steady(bench, parts[0])
            half = STREAMS // 2
            async with listeners(
                bench.server.url, streams=half, subscriptions=half, folder=folder
            ) as noted:
                watched = await steady(bench, parts[1])
                # The last hints are on their way.
                await asyncio.sleep(1)
            again = await steady(bench, parts[2])
            report(quiet, watched, again, await noted)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    uvloop.run(main(**vars(parser.parse_args())))
