"""Fifty open dashboards over HTTP: what a gateway process, PostgreSQL and NATS spend on them.

One dashboard posts as the web UI was recorded to: in a minute 27 requests with 139 operations, 17 of them the summary
of 17 counts each. Seven other tiles are polled as often; the rest are asked now and then. Most requests are arrays of
operations, some are single objects. The load is raw HTTP over kept connections in the process that measures, whose own
time is not counted.
"""

import asyncio
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter

import orjson
import psutil

from tests.integration.gateway.reads.scale import BUSY_TENANT
from tests.integration.gateway.reads.shapes import summary

DASHBOARDS = 50
REQUESTS_A_MINUTE = 27
OPERATIONS_A_MINUTE = 139
_SINGLE = 5  # of the requests, objects and no arrays

_RUN = (
    "id name state scheduled_start_time start_time end_time flow { id name __typename } __typename"
)

_POLLED = {  # 17 times a minute each
    "Summary": summary("scheduled_start_time"),
    "Agents": """query Agents { agent(order_by: {last_queried: desc_nulls_last}) {
        id name type labels core_version created last_queried __typename } }""",
    "Submittable": """query Submittable { flow_run(where: {state: {_eq: "Scheduled"}}) {
        id name labels scheduled_start_time version flow { id name __typename } __typename } }""",
    "InProgress": f"""query InProgress($project: uuid) {{ flow_run(
        where: {{flow: {{project_id: {{_eq: $project}}}}, state: {{_in: ["Running", "Submitted"]}}}}
        order_by: {{start_time: desc}}) {{ {_RUN} }} }}""",
    "Upcoming": f"""query Upcoming($project: uuid, $limit: Int = 50) {{ flow_run(
        where: {{flow: {{project_id: {{_eq: $project}}}}, state: {{_eq: "Scheduled"}}}}, limit: $limit
        order_by: [{{scheduled_start_time: asc}}, {{flow: {{name: asc}}}}]) {{ {_RUN} }} }}""",
    "Failures": f"""query Failures($project: uuid, $since: timestamptz) {{ flow_run(
        where: {{flow: {{project_id: {{_eq: $project}}}}, state: {{_eq: "Failed"}}, start_time: {{_gte: $since}}}}
        distinct_on: flow_id, order_by: {{flow_id: asc, start_time: desc}}) {{ {_RUN} flow_id state_timestamp }} }}""",
    "History": f"""query History($project: uuid) {{ flow_run(
        where: {{flow: {{project_id: {{_eq: $project}}}}, state: {{_neq: "Scheduled"}}}}, limit: 50
        order_by: {{scheduled_start_time: desc_nulls_last}}) {{ {_RUN} }} }}""",
    "Activity": """query Activity($project: uuid, $since: timestamptz, $without: [String!]) { flow_run(
        where: {flow: {project_id: {_eq: $project}}, state_timestamp: {_gte: $since}, state: {_nin: $without}}
        order_by: {updated: desc_nulls_last}, limit: 10) {
        id name state state_timestamp scheduled_start_time flow { id name __typename } __typename } }""",
}  # fmt: skip
_NOW_AND_THEN = {  # once a minute each
    "Projects": "query Projects { project(order_by: {name: asc}) { id name description __typename } }",
    "Messages": """query Messages { message(order_by: {created: desc}, limit: 25) {
        id created read type text content __typename } }""",
    "Flows": """query Flows { flow(where: {archived: {_eq: false}}, order_by: {name: asc}, limit: 25) {
        id name version is_schedule_active schedule project { id name __typename } __typename } }""",
}


@dataclass(slots=True)
class Outcome:
    """What one run of the load saw. Seconds; bytes of answers."""

    requests: int = 0
    operations: int = 0
    size: int = 0
    seconds: list[float] = field(default_factory=list)


def minute(now: datetime, chance: random.Random) -> list[bytes]:
    """The bodies that one dashboard posts in a minute, in an order of its own."""
    variables = {
        "project": None,
        "since": (now - timedelta(days=1)).isoformat(),
        "without": ["Scheduled"],
        "heartbeat": None,  # declared nowhere: the UI sends such
    }
    operations = [
        {"operationName": name, "variables": variables, "query": text}
        for name, text in [*_POLLED.items()] * 17 + [*_NOW_AND_THEN.items()]
    ]
    chance.shuffle(operations)
    single, rest = operations[:_SINGLE], operations[_SINGLE:]
    arrays = REQUESTS_A_MINUTE - _SINGLE
    bodies = [orjson.dumps(one) for one in single]
    bodies += [orjson.dumps(rest[place::arrays]) for place in range(arrays)]
    chance.shuffle(bodies)
    return bodies


@dataclass(frozen=True, slots=True)
class Processes:
    """What dashboards cost: the gateway's process and those of the engines behind it, by name."""

    gateway: psutil.Process
    postgres: psutil.Process
    nats: psutil.Process

    def spent(self) -> dict[str, float]:
        """CPU seconds of each so far, children included; one that ended meanwhile is not seen, and none does."""
        named = {"gateway": self.gateway, "PostgreSQL": self.postgres, "NATS": self.nats}
        return {name: _spent(process) for name, process in named.items()}


async def measure(port: int, processes: Processes, now: datetime, *, seconds: float) -> str:
    """Keep the dashboards open for so long; the report."""
    chance = random.Random(5)
    posted = [minute(now, chance) for _ in range(DASHBOARDS)]
    # Once through every document, so that compiling them is not part of the steady state.
    await _dashboard(port, posted[0], pause=0, start=0, seconds=float(REQUESTS_A_MINUTE))
    pause = 60 / REQUESTS_A_MINUTE
    before, began = processes.spent(), perf_counter()
    seen = await asyncio.gather(
        *(
            _dashboard(port, bodies, pause=pause, start=chance.random() * pause, seconds=seconds)
            for bodies in posted
        )
    )  # fmt: skip
    passed, after = perf_counter() - began, processes.spent()
    latencies = sorted(latency for one in seen for latency in one.seconds)
    used = {name: (after[name] - before[name]) / passed for name in before}
    operations = sum(one.operations for one in seen)
    return (
        f"{DASHBOARDS} dashboards over HTTP: {sum(one.requests for one in seen) / passed:.1f} requests/s with"
        f" {operations / passed:.0f} operations/s, {sum(one.size for one in seen) / passed / 1e6:.1f} MB/s;"
        f" median {1000 * statistics.median(latencies):.0f} ms,"
        f" p99 {1000 * latencies[int(len(latencies) * 0.99)]:.0f} ms"
        f"\n  cores: {', '.join(f'{name} {cores:.2f}' for name, cores in used.items())},"
        f" together {sum(used.values()):.2f} (budget 1)"
    )


async def _dashboard(
    port: int, bodies: Sequence[bytes], *, pause: float, start: float, seconds: float
) -> Outcome:
    """Post one body after another at its time, for so many seconds (of schedule: `pause` 0 means a second each)."""
    outcome = Outcome()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = perf_counter()
    for place in range(int(seconds / (pause or 1))):
        await asyncio.sleep(max(0.0, began + start + place * pause - perf_counter()))
        body = bodies[place % len(bodies)]
        asked = perf_counter()
        answer = await _post(reader, writer, body)
        outcome.seconds.append(perf_counter() - asked)
        if b'"errors"' in answer:
            message = f"a dashboard was answered {answer[:300]!r}"
            raise RuntimeError(message)
        outcome.requests += 1
        outcome.operations += body.count(b'"operationName"')
        outcome.size += len(answer)
    writer.close()
    return outcome


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> bytes:
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"X-Prefect-Tenant-ID: %s\r\nX-Prefect-User-ID: null\r\nX-Prefect-UI: true\r\nContent-Length: %d\r\n\r\n%s"
        % (str(BUSY_TENANT).encode(), len(body), body)
    )
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        message = f"the gateway answered {head[:100]!r}"
        raise RuntimeError(message)
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


def _spent(process: psutil.Process) -> float:
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
