"""Fifty agents, ten thousand runs, and everything dies: agents, runs' processes, broker, network, ledger.

`make test-faults`, three minutes on two quiet cores; HEADWATER_FAULT_AGENTS and HEADWATER_FAULT_RUNS make it smaller.
Its small form is in tests/integration/agent/test_everything_dies.py.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.support.agent_world import check, everything_dies
from tests.support.engines import Stack

AGENTS = int(os.environ.get("HEADWATER_FAULT_AGENTS", "50"))
RUNS = int(os.environ.get("HEADWATER_FAULT_RUNS", "10000"))
SEED = int(os.environ.get("HEADWATER_SEED", "20261122"))
WITHIN = 300 + RUNS * 0.3


@pytest.mark.slow
@pytest.mark.timeout(WITHIN + 300)
async def test_each_accepted_start_is_one_and_no_run_is_lost(stack: Stack, tmp_path: Path) -> None:
    world = await everything_dies(
        stack, tmp_path, agents=AGENTS, runs=RUNS, seed=SEED, within=WITHIN, pause=1.0
    )

    sys.stderr.write(f"seed {SEED}: {dict(world.faults)}, {await world.states()}\n")
    await check(world, runs=RUNS)
