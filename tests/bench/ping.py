"""What a ping costs the gateway: `python -m tests.bench.ping [--requests 3000]`. It takes half a minute.

CPU of the gateway's process per request, on eight connections that stay open: a ping as Core sends it (the id inline),
the same from a native agent's process (its address names a lease, which PostgreSQL is asked about), `hello`, and a
state write. The ping is to be the cheapest request that does anything.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit
from uuid import UUID

import psutil

from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.eventually import eventually
from tests.support.flows import TENANT, a_flow, a_flow_run
from tests.support.gql import Gql
from tests.support.service_process import gateway_process, ledger_process

CONNECTIONS = 8


Request = tuple[str, dict[str, object]]
"""Path and body."""


def ping(run: UUID) -> Request:
    """As Core's `with_args` writes it."""
    text = 'mutation { update_flow_run_heartbeat(input: { flow_run_id: "%s" }) { success } }' % run  # noqa: UP031
    return "/graphql", {"query": text, "variables": {}}


def leased_ping(run: UUID) -> Request:
    """The same by the address of the run's lease, whose token is the run's id here."""
    return f"/lease/{run}/{run}/graphql", ping(run)[1]


def hello(_run: UUID) -> Request:
    """The smallest query."""
    return "/graphql", {"query": "query { hello }"}


def state(run: UUID) -> Request:
    """One state, as Core writes it."""
    text = (
        "mutation($input: set_flow_run_states_input!)"
        " { set_flow_run_states(input: $input) { states { id status message } } }"
    )
    value = {"flow_run_id": str(run), "state": {"type": "Running", "message": "at work"}}
    return "/graphql", {"query": text, "variables": {"input": {"states": [value]}}}


async def main(requests: int) -> int:
    """Print the figures; 1 if a ping costs more than a state write."""
    async with AsyncExitStack() as exits:
        postgres = await exits.enter_async_context(postgres_for_tests())
        stack = await exits.enter_async_context(stack_on(postgres))
        await stack.admin_pool.execute(
            "INSERT INTO gateway.tenant (id, name, slug) VALUES ($1, 'a tenant', 'a-tenant')",
            TENANT,
        )
        await exits.enter_async_context(ledger_process(stack))
        gateway, url = await exits.enter_async_context(gateway_process(stack))
        async with Gql(url) as api:
            await eventually(api.answers, timeout=60)
        assert gateway.process is not None
        runs = await _runs(stack)
        costs = {
            make.__name__: await _cost(gateway.process.pid, url, runs, make, requests)
            for make in (hello, ping, leased_ping, state)
        }
    for name, (cpu, rate) in costs.items():
        print(f"{name:<11} {cpu:6.0f} us of the gateway's CPU, {rate:6,.0f}/s")
    return int(costs["ping"][0] > costs["state"][0])


async def _runs(stack: Stack) -> list[UUID]:
    flow = await a_flow(stack.admin_pool, active=False)
    runs = [await a_flow_run(stack.admin_pool, flow=flow) for _ in range(200)]
    await stack.admin_pool.execute("UPDATE runs.flow_run SET lease_token = id")
    return runs


async def _cost(
    pid: int, url: str, runs: list[UUID], make: Callable[[UUID], Request], requests: int
) -> tuple[float, float]:
    """Microseconds of the gateway's CPU for one, and how many a second."""
    await _drive(url, runs, make, requests // 10)
    process, loop = psutil.Process(pid), asyncio.get_running_loop()
    before, began = sum(process.cpu_times()[:2]), loop.time()
    done = await _drive(url, runs, make, requests)
    spent = sum(process.cpu_times()[:2]) - before
    return spent / done * 1e6, done / (loop.time() - began)


async def _drive(url: str, runs: list[UUID], make: Callable[[UUID], Request], requests: int) -> int:
    host, port = urlsplit(url).hostname, urlsplit(url).port

    async def connection(number: int) -> int:
        reader, writer = await asyncio.open_connection(host, port)
        mine = runs[number::CONNECTIONS]
        for n in range(requests // CONNECTIONS):
            path, asked = make(mine[n % len(mine)])
            body = json.dumps(asked).encode()
            writer.write(
                b"POST %b HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            if b'"errors"' in answer:
                raise RuntimeError(answer.decode())
        writer.close()
        return requests // CONNECTIONS

    return sum(await asyncio.gather(*(connection(n) for n in range(CONNECTIONS))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    sys.exit(asyncio.run(main(parser.parse_args().requests)))
