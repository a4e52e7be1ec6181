"""A million run-minutes: the world of `tests/support/beat_model.py`, at length. HEADWATER_SEED replays one."""

import os
import secrets

import pytest

from tests.support.beat_model import World

SEED = int(os.environ.get("HEADWATER_SEED", "0")) or secrets.randbits(32)


@pytest.mark.parametrize("seed", [SEED, SEED + 1, SEED + 2, SEED + 3])
def test_a_quarter_of_a_million_run_minutes_have_no_false_and_no_missed_zombie(seed: int) -> None:
    outcome = World(runs=500, minutes=500, seed=seed).play()

    assert outcome.run_minutes == 250_000
    assert (outcome.false, outcome.missed, outcome.early) == (0, 0, 0), f"seed {seed}"
    assert outcome.outages > 0
    assert outcome.found_after
