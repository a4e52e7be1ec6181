"""What Headwater does for its clients: `python -m tests.bench.runs`.

A whole Headwater as users run it (`python -m deploy.local run`, with fsync; `--processes`: each service its own), asked
by a process of its own that sends prepared bytes (`tests/support/wire_load.py`): Core 1.4.1's documents over HTTP, and
the gateway's requests over NATS. Beside each figure stands the CPU that each process spent on one operation, which
other work on the machine does not change; in the same run, the same rows are written by hand, which is the limit.
`--old-runs N` measures three times on the empty database and three times with a past of so many finished runs, and
says how much of the best throughput is left. The past is written by plain SQL, then vacuumed and checkpointed, as it
would be had it taken weeks; the first of the three reads cold pages, whole images of which go into the WAL.
`--only WORD WORD` measures what has one of the words in its name, `--scale 0.3` does less of it.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import orjson
import psutil
import uvloop

from deploy.engines import DataFolder
from deploy.engines.nats import USER
from deploy.engines.postgres import SUPERUSER
from libs.contracts import runs
from libs.contracts.base import Message, Rpc
from libs.contracts.runs import RunKind, StateProposal
from tests.bench import by_hand
from tests.support.engines import json_as_values
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.headwater import Headwater
from tests.support.ledger import Flow, register_flow
from tests.support.wire_load import Answered, Load, http_request, load_process, nats_request

T = TypeVar("T")

SET_FLOW_RUN_STATES = """mutation($input: set_flow_run_states_input!) {
    set_flow_run_states(input: $input) {
        states {
            id
            message
            status
        }
    }
}"""
SET_TASK_RUN_STATES = SET_FLOW_RUN_STATES.replace("flow_run", "task_run")
CREATE_FLOW_RUN = """mutation($input: create_flow_run_input!) {
    create_flow_run(input: $input) {
        id
    }
}"""
GET_OR_CREATE = """mutation {
    get_or_create_task_run_info(input: { flow_run_id: "%s", task_id: "%s", map_index: %d }) {
        id
        version
        serialized_state
    }
}"""
GET_RUNS_IN_QUEUE = """mutation($input: get_runs_in_queue_input!) {
    get_runs_in_queue(input: $input) {
        flow_run_ids
    }
}"""
WRITE_RUN_LOGS = """mutation($input: write_run_logs_input!) {
    write_run_logs(input: $input) {
        success
    }
}"""
RUNNING = {
    "type": "Running",
    "message": "Starting task run.",
    "context": {"tags": []},
    "cached_inputs": {},
    "_result": {"type": "NoResultType", "__version__": "1.4.1"},
    "__version__": "1.4.1",
}
SUBMITTED = {
    "type": "Submitted",
    "message": "Submitted for execution",
    "context": {},
    "cached_inputs": {},
    "state": {"type": "Scheduled", "message": "Flow run scheduled.", "__version__": "1.4.1"},
    "__version__": "1.4.1",
}
SUCCESS = RUNNING | {"type": "Success", "message": "Task run succeeded."}
ID = rb'"id":"([0-9a-f-]{36})"'
APPLIED = b'"status":"SUCCESS"'


def graphql(query: str, **given: Any) -> bytes:
    """The request as prefect.Client sends it: `variables` is a string of JSON."""
    variables = json.dumps({"input": given}) if given else "{}"
    return http_request(orjson.dumps({"query": query, "variables": variables}))


def several(queries: Sequence[str]) -> bytes:
    """Operations in one array, as the UI sends them."""
    return http_request(orjson.dumps([{"query": query} for query in queries]))


def request(rpc: Rpc[Any, Any], message: Message) -> bytes:
    """The request as the gateway sends it."""
    return nats_request(rpc.subject.template, message.model_dump_json().encode())


def parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Slices of a size."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def lanes(items: Sequence[T], count: int) -> list[Sequence[T]]:
    """So many lanes; neighbours are in different ones."""
    return [items[first::count] for first in range(count)]


@dataclass(slots=True)
class Meter:
    """CPU seconds of Headwater's processes, by what they are."""

    root: int

    def read(self) -> dict[str, float]:
        spent: dict[str, float] = {}
        root = psutil.Process(self.root)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                name = self._name(process)
                times = process.cpu_times()
                spent[name] = spent.get(name, 0.0) + times.user + times.system
        return spent

    def _name(self, process: psutil.Process) -> str:
        if process.name() in {"postgres", "nats-server"}:
            return process.name().removesuffix("-server")
        words = process.cmdline()
        service = next((word for word in words if word.startswith("services.")), None)
        if service is not None:
            return service.removeprefix("services.")
        return "headwater" if process.pid == self.root else "rest"


@dataclass(slots=True)
class Bench:
    """A Headwater, the load, a flow to run."""

    server: Headwater
    drive: Callable[[Load], Awaitable[Answered]]
    meter: Meter
    nats_url: str
    pool: "asyncpg.Pool[asyncpg.Record]"
    flow: Flow
    scale: float
    rates: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By what was measured, of each time it was: operations a second, and CPU seconds of all Headwater on one."""

    def some(self, count: int) -> int:
        """So many, or fewer in a shortened run."""
        return max(200, int(count * self.scale))

    async def over_http(
        self,
        what: str,
        work: Sequence[Sequence[bytes]],
        *,
        each: int = 1,
        budget: str = "",
        **load: Any,
    ) -> Answered:
        """Send it over HTTP; one line of the report. `each` request holds so many operations."""
        return await self._run(what, Load(url=self.server.url, lanes=work, **load), each, budget)

    async def over_nats(
        self,
        what: str,
        work: Sequence[Sequence[bytes]],
        *,
        each: int = 1,
        budget: str = "",
        **load: Any,
    ) -> Answered:
        """Send it over NATS; the same."""
        load = {"unwanted": b'"refused"'} | load
        return await self._run(what, Load(url=self.nats_url, lanes=work, **load), each, budget)

    async def _run(self, what: str, load: Load, each: int, budget: str) -> Answered:
        before = self.meter.read()
        answered = await self.drive(load)
        after = self.meter.read()
        count = len(answered.latencies) * each
        cpu = {name: (after[name] - before.get(name, 0.0)) * 1e6 / count for name in after}
        self.rate(what, count / answered.seconds, sum(cpu.values()))
        spent = ", ".join(f"{name} {us:,.0f}" for name, us in cpu.items() if us >= 1)
        spent += f", load {answered.cpu * 1e6 / count:,.0f}"
        say(what, f"{count / answered.seconds:,.0f}/s", f"us each: {spent}", budget)
        return answered

    def rate(self, what: str, rate: float, cpu: float) -> None:
        """Keep a figure for the comparison."""
        self.rates.setdefault(what, []).append((rate, cpu))

    def compare(self) -> None:
        """Of each figure the best of the second half beside the best of the first, and the same of its CPU."""
        for what, figures in self.rates.items():
            before, after = parts(figures, len(figures) // 2)
            left = max(rate for rate, _ in after) / max(rate for rate, _ in before)
            spent, spends = min(cpu for _, cpu in before), min(cpu for _, cpu in after)
            of_cpu = f"at {spends / spent:.0%} of the CPU" if spent else ""
            say(f"left of: {what}", f"{left:.0%}", of_cpu, ">= 90%")


def say(what: str, figure: str, detail: str = "", budget: str = "") -> None:
    """One line of the report."""
    print(f"{what:<58}{figure:>18}  {budget:<12}{detail}", flush=True)


def of_run(
    run_id: str, state: dict[str, Any], *, kind: str = "flow_run", **more: Any
) -> dict[str, Any]:
    """One state of a run as the client's variables have it."""
    return {f"{kind}_id": run_id, "state": state, "version": None} | more


async def measure_by_hand(bench: Bench) -> None:
    """The same rows and histories by plain SQL: one transition a transaction, and 200 a statement."""
    ids = [UUID(id_) for id_ in await fresh_task_runs(bench, bench.some(5_000))]
    await by_hand_once(
        bench,
        "plain SQL, a transition a transaction, 16 connections",
        by_hand.move_singly(bench.pool, ids),
        len(ids),
    )
    ids = [UUID(id_) for id_ in await fresh_task_runs(bench, bench.some(10_000))]
    await by_hand_once(
        bench,
        "plain SQL, 200 transitions a statement, 2 connections",
        by_hand.move_in_batches(bench.pool, parts(ids, 200)),
        len(ids),
    )


async def by_hand_once(bench: Bench, what: str, work: Awaitable[None], count: int) -> None:
    """One line of the report for what this process does itself."""
    before, began = bench.meter.read(), perf_counter()
    await work
    seconds, after = perf_counter() - began, bench.meter.read()
    spent = 1e6 * (after["postgres"] - before["postgres"]) / count
    bench.rate(what, count / seconds, spent)
    say(what, f"{count / seconds:,.0f}/s", f"us each: postgres {spent:,.0f}")


async def measure_lone(bench: Bench) -> None:
    """One command at a time, nobody else there."""
    run_id = await start_run(bench)
    bodies = [graphql(SET_FLOW_RUN_STATES, states=[of_run(run_id, RUNNING)])] * 300
    answered = await bench.drive(Load(url=bench.server.url, lanes=[bodies], expect=APPLIED))
    times = [1000 * latency for latency in answered.latencies]
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    bench.rate("a lone transition over GraphQL", 1 / p50, 0.0)
    say("a lone transition over GraphQL, p50 / p99", f"{p50:.1f} / {p99:.1f} ms", "", "p50 <= 5 ms")


async def measure_runs(bench: Bench) -> None:
    """Runs are made; then each is Submitted, Running and done."""
    body = graphql(CREATE_FLOW_RUN, flow_id=str(bench.flow.id), parameters={"x": 1})
    made = await bench.over_http(
        "create_flow_run, 16 connections",
        lanes([body] * bench.some(4_000), 16),
        expect=b'"id"',
        capture=ID,
        budget=">= 1,000/s",
    )
    ids = [id_ for lane in made.captured for id_ in lane]
    for connections, part in ((16, ids[::2]), (64, ids[1::2])):
        work = [
            [
                graphql(SET_FLOW_RUN_STATES, states=[of_run(id_, state)])
                for id_ in lane
                for state in (SUBMITTED, RUNNING, SUCCESS)
            ]
            for lane in lanes(part, connections)
        ]
        budget = ">= 1,500/s" if connections == 16 else ""
        await bench.over_http(
            f"single transitions of flow runs, {connections} connections",
            work,
            expect=APPLIED,
            budget=budget,
        )


async def measure_tasks(bench: Bench) -> None:
    """Transitions of task runs, one a request and a hundred."""
    for connections in (16, 64):
        ids = await fresh_task_runs(bench, bench.some(3_000))
        work = [
            [
                graphql(SET_TASK_RUN_STATES, states=[of_run(id_, state, kind="task_run")])
                for id_ in lane
                for state in (RUNNING, SUCCESS)
            ]
            for lane in lanes(ids, connections)
        ]
        budget = ">= 1,500/s" if connections == 16 else ""
        await bench.over_http(
            f"single transitions of task runs, {connections} connections",
            work,
            expect=APPLIED,
            budget=budget,
        )
    ids = await fresh_task_runs(bench, bench.some(10_000))
    for state in (RUNNING, SUCCESS):
        bodies = [
            graphql(
                SET_TASK_RUN_STATES, states=[of_run(id_, state, kind="task_run") for id_ in part]
            )
            for part in parts(ids, 100)
        ]
        await bench.over_http(
            f"to {state['type']} in requests of 100, 8 connections",
            lanes(bodies, 8), expect=APPLIED, each=100, budget=">= 10,000/s",
        )  # fmt: skip


async def measure_over_nats(bench: Bench) -> None:
    """The ledger alone: 10,000 mapped children are made one by one, started and finished."""
    tenant_id, run_id = bench.flow.tenant_id, UUID(await start_run(bench))
    asks = [
        request(
            runs.GET_OR_CREATE_TASK_RUN,
            runs.GetOrCreateTaskRun(
                tenant_id=tenant_id, flow_run_id=run_id, task_id=bench.flow.task_ids[0], map_index=index
            ),
        )
        for index in range(bench.some(10_000))
    ]  # fmt: skip
    made = await bench.over_nats(
        f"NATS: {len(asks):,} mapped children, get_or_create, 64 callers",
        lanes(asks, 64),
        expect=b'"Pending"',
        capture=ID,
    )
    ids = [UUID(id_) for lane in made.captured for id_ in lane]
    seconds = made.seconds
    for state in (RUNNING, SUCCESS):
        bodies = [
            request(
                runs.SET_STATES,
                runs.SetStates(
                    tenant_id=tenant_id,
                    proposals=[
                        StateProposal(run_kind=RunKind.TASK_RUN, run_id=id_, state=state)
                        for id_ in part
                    ],
                ),
            )
            for part in parts(ids, 100)
        ]
        moved = await bench.over_nats(
            f"NATS: to {state['type']} in requests of 100, 8 callers",
            lanes(bodies, 8), expect=APPLIED, each=100, budget=">= 10,000/s",
        )  # fmt: skip
        seconds += moved.seconds
    say(f"NATS: {len(asks):,} children made, started and finished", f"{seconds:.1f} s", "", "< 3 s")


async def measure_children(bench: Bench) -> None:
    """Mapped children as Core asks for them, over HTTP."""
    run_id, task_id = await start_run(bench), bench.flow.task_ids[0]
    queries = [GET_OR_CREATE % (run_id, task_id, index) for index in range(bench.some(6_000))]
    singly, together = parts(queries, len(queries) // 2)[:2]
    expect = b'"Pending"'
    await bench.over_http(
        "get_or_create_task_run_info, 64 connections",
        lanes([graphql(query) for query in singly], 64), expect=expect,
    )  # fmt: skip
    await bench.over_http(
        "get_or_create_task_run_info, arrays of 25, 8 connections",
        lanes([several(part) for part in parts(together, 25)], 8), expect=expect, each=25,
    )  # fmt: skip


async def measure_logs(bench: Bench) -> None:
    """Lines accepted, and how long until the last of them can be read."""
    lines = bench.some(200_000) // 500 * 500
    run_id = await start_run(bench)
    batch = [
        {
            "flow_run_id": run_id,
            "timestamp": "2026-01-01T00:00:00.000000+00:00",
            "name": "prefect.CloudTaskRunner",
            "level": "INFO",
            "message": f"Task 'a task[{line}]': Finished task run for task with final state: 'Success'",
        }
        for line in range(500)
    ]
    body = graphql(WRITE_RUN_LOGS, logs=batch)
    accepted = await bench.over_http(
        "log lines accepted, 500 a request, 8 connections",
        lanes([body] * (lines // 500), 8), expect=b'"success":true', each=500,
    )  # fmt: skip
    began = perf_counter()

    async def readable() -> bool:
        query = "SELECT lines FROM runs.log_usage WHERE flow_run_id = $1"
        return bool(await bench.pool.fetchval(query, UUID(run_id)) == lines)

    await eventually(readable, timeout=60, pause=0.02)
    late = perf_counter() - began
    figure = f"{lines / (accepted.seconds + late):,.0f}/s"
    say("... until they can be read", figure, f"the last {late:.1f} s later", ">= 50,000/s")


async def measure_queue(bench: Bench, waiting: int = 100_000) -> None:
    """One served run behind very many due ones that nobody serves."""
    await by_hand.write_due_runs(bench.pool, bench.flow, waiting)
    create = graphql(CREATE_FLOW_RUN, flow_id=str(bench.flow.id), labels=["served"])
    made = await bench.drive(
        Load(url=bench.server.url, lanes=[[create]], expect=b'"id"', capture=ID)
    )
    body = graphql(GET_RUNS_IN_QUEUE, labels=["served", *"abcdefghijk"])
    answered = await bench.drive(
        Load(url=bench.server.url, lanes=[[body] * 500], expect=made.captured[0][0].encode())
    )
    times = [1000 * latency for latency in answered.latencies]
    await by_hand.forget_due_runs(bench.pool)
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    bench.rate("get_runs_in_queue", 1 / p50, 0.0)
    say(
        f"get_runs_in_queue, {waiting:,} unmatched due runs",
        f"{p50:.1f} / {p99:.1f} ms",
        "",
        "p99 <= 20 ms",
    )


async def start_run(bench: Bench) -> str:
    """A flow run that is Running."""
    create = graphql(CREATE_FLOW_RUN, flow_id=str(bench.flow.id))
    made = await bench.drive(
        Load(url=bench.server.url, lanes=[[create]], expect=b'"id"', capture=ID)
    )
    [[run_id]] = made.captured
    steps = [
        graphql(SET_FLOW_RUN_STATES, states=[of_run(run_id, state)])
        for state in (SUBMITTED, RUNNING)
    ]
    await bench.drive(Load(url=bench.server.url, lanes=[steps], expect=APPLIED))
    return run_id


async def fresh_task_runs(bench: Bench, count: int) -> list[str]:
    """Pending task runs of a new flow run, written by hand."""
    run_id = UUID(await start_run(bench))
    made = await by_hand.fresh_task_runs(bench.pool, bench.flow, run_id, count)
    return [str(id_) for id_ in made]


@contextlib.asynccontextmanager
async def a_bench(folder: Path, *, processes: bool, scale: float) -> Any:
    """Everything that a figure needs."""
    async with (
        Headwater(folder, *(["--processes"] if processes else [])) as server,
        Gql(server.url) as api,
    ):
        data = DataFolder(folder / "data")
        # The gateway may answer before all services of `--processes` do, and only then is the record written.
        await eventually((data.path / "running.json").exists, timeout=30)
        record = json.loads((data.path / "running.json").read_text())
        postgres = (
            f"{SUPERUSER}:{data.secret('postgres')}@127.0.0.1:{record['postgres_port']}/headwater"
        )
        nats_url = f"nats://{USER}:{data.secret('nats')}@127.0.0.1:{record['nats_port']}"
        [tenant] = (await api("query { tenant { id } }"))["tenant"]
        async with asyncpg.create_pool(
            f"postgresql://{postgres}", min_size=1, max_size=16, init=json_as_values
        ) as pool:
            with load_process() as drive:
                flow = await register_flow(pool, tenant_id=UUID(tenant["id"]))
                bench = Bench(server, drive, Meter(server.pid), nats_url, pool, flow, scale)
                await start_run(bench)  # plans are compiled, connections open
                yield bench


async def main(*, processes: bool, old_runs: int, only: Sequence[str], scale: float) -> None:
    """All figures, or those whose function has one of the words in its name."""
    chosen = [m for m in MEASURES if any(word in m.__name__ for word in only)]
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        Path(folder).chmod(0o711)
        async with a_bench(Path(folder), processes=processes, scale=scale) as bench:
            say(f"--- {'processes' if processes else 'one process'}, empty database", "")
            rounds = chosen * (_ROUNDS if old_runs else 1)
            for measure in rounds:
                await measure(bench)
            if old_runs:
                began = perf_counter()
                await by_hand.write_old_runs(bench.pool, bench.flow, old_runs)
                say(f"--- {old_runs:,} old runs written", f"{perf_counter() - began:.0f} s")
                for measure in rounds:
                    await measure(bench)
                bench.compare()


_ROUNDS = 3
MEASURES = (
    measure_by_hand,
    measure_lone,
    measure_runs,
    measure_tasks,
    measure_children,
    measure_over_nats,
    measure_logs,
    measure_queue,
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--old-runs", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--scale", type=float, default=1.0)
    uvloop.run(main(**vars(parser.parse_args())))
