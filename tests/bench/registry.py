"""What registering costs: `python -m tests.bench.registry`.

Everything is asked over NATS, as the gateway does. The embedded engines run without fsync; name engines of your own
with HEADWATER_TEST_POSTGRES_URL and HEADWATER_TEST_NATS_URL to measure those.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from operator import itemgetter
from time import perf_counter
from typing import Any
from uuid import UUID

from libs.contracts import registry as contracts
from libs.contracts.base import Refused
from services.registry.app import Registry
from services.registry.settings import RegistrySettings
from tests.integration.registry.office import Office
from tests.support.engines import postgres_for_tests, stack_on
from tests.support.serialized_flows import a_flow, an_edge, compressed

CALLERS = 16
REGISTRATIONS = 1_000
LARGE = 10_000  # tasks
ENDS = ("upstream_task", "downstream_task")
PIECE = 500  # what Core 1.x sends at once


async def timed(work: Awaitable[Any]) -> float:
    """How many seconds it took."""
    start = perf_counter()
    await work
    return perf_counter() - start


async def in_parallel(times: int, work: Callable[[int], Awaitable[Any]]) -> None:
    """Do the work so many times, as many callers do."""
    numbers = iter(range(times))

    async def caller() -> None:
        for number in numbers:
            await work(number)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def in_pieces(office: Office, serialized: dict[str, Any]) -> UUID:
    """Register as Core 1.x does."""
    tasks, edges = serialized["tasks"], serialized["edges"]
    head = {key: value for key, value in serialized.items() if key not in ("tasks", "edges")}
    flow_id = await office.begin(compressed_flow=compressed(head))
    for start in range(0, len(tasks) + 1, PIECE):
        answer = await office.add_tasks(flow_id, tasks[start : start + PIECE])
        assert not isinstance(answer, Refused), answer
    for start in range(0, len(edges) + 1, PIECE):
        answer = await office.add_edges(flow_id, edges[start : start + PIECE])
        assert not isinstance(answer, Refused), answer
    return flow_id


def a_large_flow(name: str) -> dict[str, Any]:
    """A row of tasks with one edge more from each to the one after the next, in the order in which Core sorts both."""
    slugs = [f"task-{number}" for number in range(LARGE)]
    flow = a_flow(name, tasks=slugs)
    flow["edges"] += [an_edge(a, b, key="skip") for a, b in zip(slugs, slugs[2:], strict=False)]
    flow["tasks"].sort(key=itemgetter("slug"))
    flow["edges"].sort(key=lambda edge: (*(edge[end]["slug"] for end in ENDS), edge["key"] or ""))
    # The flow is the client's: the registry in this process must not be held up by collecting it.
    gc.collect()
    gc.freeze()
    return flow


async def measure(office: Office) -> None:
    """All figures."""
    small = ("extract-1", "clean-1", "join-1", "check-1", "load-1")

    seconds = await timed(
        in_parallel(REGISTRATIONS, lambda n: office.register(a_flow(f"flow {n}", tasks=small)))
    )
    print(f"registrations of different flows, 5 tasks each: {REGISTRATIONS / seconds:,.0f}/s")

    seconds = await timed(
        in_parallel(REGISTRATIONS, lambda _: office.register(a_flow("one", tasks=small)))
    )
    print(f"registrations of the same flow:                 {REGISTRATIONS / seconds:,.0f}/s")

    one = await office.register(a_flow("one", tasks=small))
    seconds = await timed(
        office.do(
            contracts.SET_FLOW_SETTINGS,
            contracts.SetFlowSettings(
                tenant_id=office.tenant_id, flow_id=one.id, lazarus_enabled=False
            ),
        )
    )
    print(f"a safeguard switched on {one.version:,} versions:            {seconds * 1000:,.0f} ms")

    large = a_large_flow("large")
    packed = compressed(large)
    seconds = await timed(office.register(compressed_flow=packed))
    print(f"a flow of {LARGE:,} tasks, {len(large['edges']):,} edges, in one call: {seconds:.2f} s")

    large = a_large_flow("in pieces")
    seconds = await timed(in_pieces(office, large))
    print(f"the same in pieces of {PIECE}:                       {seconds:.2f} s")

    seconds = await timed(
        office.do(
            contracts.DELETE_PROJECT,
            contracts.DeleteProject(tenant_id=office.tenant_id, project_id=office.project_id),
        )
    )
    print(f"the project with all of that deleted:           {seconds:.2f} s")


async def main() -> None:
    """Start engines and a registry, measure, stop."""
    async with postgres_for_tests() as postgres, stack_on(postgres) as stack:
        service = Registry(
            RegistrySettings(postgres_url=stack.postgres_url("registry"), nats_url=stack.nats_url)
        )
        await service.start()
        try:
            await measure(await Office.open(stack, service))
        finally:
            await service.stop()


if __name__ == "__main__":
    asyncio.run(main())
