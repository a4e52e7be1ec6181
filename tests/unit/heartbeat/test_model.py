"""The rule in a modelled world of lost and doubled pings, pauses, and outages; at length in tests/faults."""

from tests.support.beat_model import World


def test_no_living_run_is_announced_and_no_dead_one_missed() -> None:
    outcome = World(runs=200, minutes=120, seed=7).play()

    assert (outcome.false, outcome.missed, outcome.early) == (0, 0, 0)
    assert outcome.outages > 0, "the world was too kind"
    assert outcome.held > 0, "nothing had to be held"
    assert outcome.found_after, "nobody died"


def test_where_only_pings_get_lost_every_dead_run_is_found_two_minutes_after_its_last_ping() -> (
    None
):
    outcome = World(runs=200, minutes=80, seed=7, quiet=True).play()

    assert (outcome.false, outcome.missed, outcome.early) == (0, 0, 0)
    assert outcome.found_after
    assert all(120 <= wait <= 122 for wait in outcome.found_after)
