"""The rule in a modelled world of lost and doubled pings, pauses, and outages; at length in tests/faults."""

import pytest

from tests.support.beat_model import TENANTS, World


def test_no_living_run_is_announced_and_no_dead_one_missed() -> None:
    outcome = World(runs=200, minutes=120, seed=3).play()

    assert (outcome.false, outcome.missed, outcome.early) == (0, 0, 0)
    assert outcome.outages > 0, "the world was too kind"
    assert outcome.held, "nothing had to be held"
    assert outcome.found_after, "nobody died"


@pytest.mark.parametrize("cut_off", TENANTS)
def test_tenants_that_are_cut_off_are_held_and_the_dead_of_others_are_found_in_time(
    cut_off: str,
) -> None:
    outcome = World(runs=150, minutes=100, seed=7, away=[cut_off]).play()

    assert (outcome.false, outcome.missed, outcome.early) == (0, 0, 0)
    assert set(outcome.held) == {cut_off}
    waits = [wait for group, wait in outcome.found_after if group != cut_off]
    assert waits
    assert all(120 <= wait <= 122 for wait in waits)


def test_where_only_pings_get_lost_every_dead_run_is_found_two_minutes_after_its_last_ping() -> (
    None
):
    outcome = World(runs=200, minutes=80, seed=7, away=[]).play()

    assert (outcome.false, outcome.missed, outcome.early) == (0, 0, 0)
    assert outcome.found_after
    assert all(120 <= wait <= 122 for _, wait in outcome.found_after)
