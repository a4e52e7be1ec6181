"""Whose silences are held when many are silent at once."""

from services.heartbeat.domain.mass_silence import HeldGroups, Holds, RunCounts

LARGE, OTHER, SMALL, TINY = (bytes([number]) * 16 for number in range(4))
RUN = b"r" * 16


def run_counts(**counts: dict[bytes, tuple[int, int]]) -> RunCounts:
    """Of each tenant how many runs there are, and how many are silent."""
    runs = counts["runs"]
    guarded = {tenant: count for tenant, (count, _) in runs.items()}
    silent = {tenant: count for tenant, (_, count) in runs.items()}
    return RunCounts(guarded=guarded, known=guarded, silent=silent)


def held(runs: dict[bytes, tuple[int, int]]) -> set[bytes]:
    """The tenants that are held."""
    found = look(Holds(), runs, now=0)
    return {tenant for tenant in runs if tenant + RUN in found}


def look(holds: Holds, runs: dict[bytes, tuple[int, int]], *, now: float) -> HeldGroups:
    return holds.look(run_counts(runs=runs), least=25, share=0.5, now=now, silence=120)


def test_the_outage_of_one_tenant_delays_no_zombie_of_another() -> None:
    assert held({LARGE: (10_000, 10_000), OTHER: (100, 1), SMALL: (5, 1)}) == {LARGE}


def test_a_crowd_that_pings_does_not_hide_the_outage_of_a_smaller_tenant() -> None:
    assert held({LARGE: (10_000, 0), OTHER: (30, 30)}) == {OTHER}


def test_when_everybody_is_silent_everybody_is_held() -> None:
    assert held({LARGE: (100, 100), OTHER: (30, 30), SMALL: (5, 5)}) == {LARGE, OTHER, SMALL}


def test_small_tenants_are_judged_together() -> None:
    assert held({SMALL: (20, 20), TINY: (20, 20)}) == {SMALL, TINY}
    assert held({SMALL: (20, 20), TINY: (20, 0)}) == set()
    assert held({SMALL: (5, 5)}) == set(), "a few runs are no crowd"


def test_each_tenant_is_held_for_one_silence_from_its_own_beginning() -> None:
    holds = Holds()
    look(holds, {LARGE: (100, 100), OTHER: (100, 0)}, now=0)
    look(holds, {LARGE: (100, 100), OTHER: (100, 100)}, now=60)

    found = look(holds, {LARGE: (100, 100), OTHER: (100, 100)}, now=121)

    assert LARGE + RUN not in found
    assert OTHER + RUN in found
