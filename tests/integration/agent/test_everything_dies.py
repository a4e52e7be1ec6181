"""The small form of tests/faults/test_agents.py: each fault once."""

from pathlib import Path

import pytest

from tests.support.agent_world import check, everything_dies
from tests.support.engines import Stack

RUNS = 60


@pytest.mark.slow
async def test_each_accepted_start_is_one_and_no_run_is_lost(stack: Stack, tmp_path: Path) -> None:
    world = await everything_dies(
        stack, tmp_path, agents=3, runs=RUNS, seed=7, within=400, pause=0.5
    )

    assert len(world.faults) == 7, world.faults
    await check(world, runs=RUNS)
