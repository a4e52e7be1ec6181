"""How soon what is owed arrives: `python -m tests.bench.deliveries [--rate 200] [--seconds 20] [--actions 1000]`.

Figures: the time from a delivery's commit until the receiver has the request, at a steady rate over many actions, with
and without a receiver that hangs; and the CPU of this process for each delivery, receiver included. It is a process
with the automations and the receiver; PostgreSQL and NATS are real.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from tests.support.delivering import delivering_on
from tests.support.engines import Stack, postgres_for_tests, stack_on
from tests.support.eventually import eventually
from tests.support.owed import a_tenant, an_action, owe
from tests.support.receivers import Received, Receiver, Reply, receiver
from tests.support.running import running


async def main(rate: int, seconds: int, actions: int) -> None:
    """Print the figures."""
    async with (
        postgres_for_tests() as postgres,
        stack_on(postgres) as stack,
        receiver() as quick,
        receiver() as hanging,
        running(delivering_on(stack, tick=timedelta(seconds=1))) as service,
    ):
        pool = stack.admin_pool
        tenant, other = await a_tenant(pool), await a_tenant(pool)
        targets = [
            await an_action(pool, tenant, {"url": f"{quick.url}/{n}"}) for n in range(actions)
        ]
        poke = service.deliveries.worker.more
        await measured(
            stack, quick, tenant, targets, rate=rate, seconds=seconds, poke=poke, name="all well"
        )
        hanging.hang()
        bad = await an_action(pool, other, {"url": hanging.url})
        for _ in range(500):
            await owe(pool, other, action_id=bad)
        await measured(
            stack,
            quick,
            tenant,
            targets,
            rate=rate,
            seconds=seconds,
            poke=poke,
            name="beside one that hangs",
        )
        hanging.release()


async def measured(
    stack: Stack,
    quick: Receiver,
    tenant: UUID,
    targets: Sequence[UUID],
    *,
    rate: int,
    seconds: int,
    poke: object,
    name: str,
) -> None:
    """Owe at this rate; print the percentiles of how long each took."""
    assert callable(poke)
    committed: dict[str, float] = {}
    arrived: dict[str, float] = {}

    def reply(got: Received) -> Reply:
        arrived.setdefault(got.key, time.perf_counter())
        return Reply()

    quick.reply = reply
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(rate * seconds):
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        delivery = await owe(stack.admin_pool, tenant, action_id=targets[number % len(targets)])
        committed[f"key-{delivery}"] = time.perf_counter()
        poke()
    await eventually(lambda: committed.keys() <= arrived.keys(), timeout=120)
    spent = time.process_time() - cpu
    took = sorted(max(arrived[key] - at, 0.0) for key, at in committed.items())
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(
        f"{name}: {len(took):,} deliveries at {rate}/s: p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms,"
        f" {spent / len(took) * 1000:.2f} ms of CPU each (budget p50 200 ms, p99 1 s)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--actions", type=int, default=1000)
    given = parser.parse_args()
    asyncio.run(main(given.rate, given.seconds, given.actions))
