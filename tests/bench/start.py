"""What a warm start costs: `python -m tests.bench.start`. Budgets: 5 s to the first answered query, 400 MiB.

Starts the real command twice on one data folder and measures the second start: the first makes the database.
"""

import asyncio
import os
import shutil
import statistics
import sys
from pathlib import Path
from time import perf_counter

import httpx
import psutil

from tests.support.engines import make_folder
from tests.support.ports import free_port

STARTS = 5
WITHIN = 120.0  # seconds


async def main() -> None:
    """Measure and print."""
    folder = make_folder()
    try:
        await measure(folder)
        starts = [await measure(folder) for _ in range(STARTS)]
    finally:
        shutil.rmtree(folder)
    seconds = [took for took, _, _ in starts]
    print(
        f"first answered query   median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s (budget 5 s)"
    )
    print(f"stopped                worst {max(took for _, _, took in starts):.2f} s (budget 20 s)")
    print(f"memory of the services {max(size for _, size, _ in starts) >> 20} MiB (budget 400 MiB)")


async def measure(folder: Path) -> tuple[float, int, float]:
    """Seconds to the first answer, resident bytes of the services' process, seconds to stop."""
    port = free_port()
    began = perf_counter()
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.local", "run"),
            env=os.environ | {"HEADWATER_DATA": str(folder / "data"), "HEADWATER_PORT": str(port)},
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(WITHIN):
            await _first_answer(f"http://127.0.0.1:{port}/graphql", process)
        took = perf_counter() - began
        size = psutil.Process(process.pid).memory_info().rss
    finally:
        began = perf_counter()
        process.terminate()
        await process.wait()
    return took, size, perf_counter() - began


async def _first_answer(url: str, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient() as client:
        while process.returncode is None:
            try:
                response = await client.post(url, json={"query": "{ project { id } }"})
                if response.json().get("data") is not None:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.01)
    raise SystemExit(f"Headwater ended with exit code {process.returncode} while it started")


if __name__ == "__main__":
    asyncio.run(main())
