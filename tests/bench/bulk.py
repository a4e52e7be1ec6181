"""How long an action on many runs takes: `python -m tests.bench.bulk [--runs 5000] [--rounds 3]`.

A whole Headwater as users run it (with fsync). Late runs are written by plain SQL, then cancelled by one
`bulk_flow_runs`, over HTTP, until the answer says that every item is done. Beside it stands the limit: the same states
and histories of as many runs, written by hand in one statement; and the CPU of one item in each process.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop

from libs.runtime.ids import new_id
from tests.bench.runs import Bench, a_bench
from tests.support.gql import Gql

BUDGET = 5.0
"""Seconds for 5,000 late runs (issue 16)."""
_BULK = """mutation ($i: bulk_flow_runs_input!) { bulk_flow_runs(input: $i) { finished total done pending } }"""
_READ = "query ($k: String!) { bulk_request(request_key: $k, limit: 1) { finished total done pending } }"
_LATE = """
    INSERT INTO runs.flow_run (id, tenant_id, flow_id, flow_group_id, name, scheduled_start_time, state,
        state_timestamp, serialized_state, version)
    SELECT gen_random_uuid(), tenant_id, flow_id, flow_group_id, $2, now() - interval '1 hour', 'Scheduled', now(),
        '{"type": "Scheduled", "message": "Flow run scheduled."}', 1
    FROM (SELECT * FROM runs.flow_run WHERE flow_id = $1 LIMIT 1) r, generate_series(1, $3::int)
"""
_BY_HAND = """
    WITH late AS (
        SELECT * FROM runs.flow_run WHERE flow_id = $1 AND name = $2 ORDER BY id FOR UPDATE
    ), history AS (
        INSERT INTO runs.flow_run_state
            (id, tenant_id, flow_run_id, timestamp, state, message, serialized_state, version)
        SELECT gen_random_uuid(), tenant_id, id, now(), 'Cancelled', 'x', serialized_state, 2 FROM late
    )
    UPDATE runs.flow_run r SET state = 'Cancelled', version = 2, updated = now(), end_time = now()
    FROM late WHERE r.id = late.id
"""


async def write_late(bench: Bench, name: str, count: int) -> None:
    """Runs that wait and are late."""
    await bench.pool.execute(_LATE, bench.flow.id, name, count)


async def cancelled(api: Gql, name: str) -> tuple[float, dict[str, Any]]:
    """Seconds until every late run of this name has its result, and what came of them."""
    key = str(new_id())
    began = perf_counter()
    given = {"request_key": key, "action": "CANCEL", "where": {"name": {"_eq": name}}}
    found: dict[str, Any] = (await api(_BULK, i=given))["bulk_flow_runs"]
    while not found["finished"]:
        # An answer comes after some seconds at the latest, and the request goes on.
        found = (await api(_READ, k=key))["bulk_request"]
    return perf_counter() - began, found


@contextlib.asynccontextmanager
async def a_headwater() -> AsyncIterator[tuple[Bench, Gql]]:
    """Everything that a figure needs, and a client."""
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        Path(folder).chmod(0o711)
        async with (
            a_bench(Path(folder), processes=False, scale=1.0) as bench,
            Gql(bench.server.url) as api,
        ):
            yield bench, api


async def main(*, runs: int, rounds: int) -> None:
    """Cancel so many, several times, by turns with plain SQL."""
    async with a_headwater() as (bench, api):
        took, by_hand = [], []
        for number in range(rounds):
            await write_late(bench, f"late {number}", runs)
            before = bench.meter.read()
            seconds, found = await cancelled(api, f"late {number}")
            after = bench.meter.read()
            assert (found["total"], found["done"]) == (runs, runs), found
            took.append(seconds)
            await write_late(bench, f"hand {number}", runs)
            began = perf_counter()
            await bench.pool.execute(_BY_HAND, bench.flow.id, f"hand {number}")
            by_hand.append(perf_counter() - began)
            cpu = {name: (after[name] - before.get(name, 0.0)) * 1e6 / runs for name in after}
            spent = ", ".join(f"{name} {us:,.0f} us" for name, us in cpu.items() if us >= 1)
            print(
                f"{runs:,} late runs cancelled in {seconds:.2f} s; by hand {by_hand[-1]:.2f} s;"
                f" CPU of an item: {spent}",
                flush=True,
            )
        middle = statistics.median(took)
        verdict = "held" if middle <= BUDGET * runs / 5_000 else "NOT HELD"
        print(
            f"median {middle:.2f} s ({middle / statistics.median(by_hand):.1f} x plain SQL),"
            f" budget {BUDGET * runs / 5_000:.1f} s: {verdict}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    uvloop.run(main(**vars(parser.parse_args())))
