"""When a silent run is a zombie."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.states import RUNNING_FAMILY, State
from services.heartbeat.domain.judgement import (
    Drop,
    Hold,
    NotYet,
    SilentRun,
    Why,
    Zombie,
    is_mass_silence,
    judge,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SILENCE = timedelta(minutes=2)
RUN = SilentRun(
    flow_run_id=UUID(int=1),
    tenant_id=UUID(int=2),
    version=3,
    state="Running",
    enabled=True,
    guarded=True,
    seen=NOW - SILENCE,
)


def test_a_guarded_run_that_was_silent_for_two_minutes_is_a_zombie() -> None:
    assert judge(RUN, now=NOW, silence=SILENCE) == Zombie(last_seen=RUN.seen)


def test_a_run_that_is_being_cancelled_is_judged_like_a_running_one() -> None:
    assert isinstance(judge(replace(RUN, state="Cancelling"), now=NOW, silence=SILENCE), Zombie)


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (replace(RUN, state="Submitted"), Why.NOT_STARTED),
        (replace(RUN, state="Scheduled"), Why.NOT_RUNNING),
        (replace(RUN, state="Success"), Why.NOT_RUNNING),
        (replace(RUN, enabled=False), Why.DISABLED),
        (replace(RUN, guarded=False), Why.UNGUARDED),
    ],
)
def test_what_is_not_ours_to_judge_is_dropped(run: SilentRun, why: Why) -> None:
    assert judge(run, now=NOW, silence=SILENCE) == Drop(why=why)


def test_a_run_that_another_replica_heard_is_looked_at_when_its_silence_is_whole() -> None:
    run = replace(RUN, seen=NOW - timedelta(seconds=50))

    assert judge(run, now=NOW, silence=SILENCE) == NotYet(rest=timedelta(seconds=70))


@pytest.mark.parametrize(("seconds", "is_zombie"), [(118.8, True), (118.7, False)])
def test_a_row_may_lag_behind_our_memory_by_a_hundredth(seconds: float, is_zombie: bool) -> None:
    run = replace(RUN, seen=NOW - timedelta(seconds=seconds))

    assert isinstance(judge(run, now=NOW, silence=SILENCE), Zombie) is is_zombie


runs = st.builds(
    SilentRun,
    flow_run_id=st.just(UUID(int=1)),
    tenant_id=st.just(UUID(int=2)),
    version=st.integers(1, 9),
    state=st.sampled_from(sorted(State)),
    enabled=st.booleans(),
    guarded=st.booleans(),
    seen=st.timedeltas(timedelta(-10), timedelta(10)).map(lambda ago: NOW - ago),
)


@given(run=runs)
def test_nobody_is_a_zombie_unless_everything_speaks_for_it(run: SilentRun) -> None:
    if isinstance(judge(run, now=NOW, silence=SILENCE), Zombie):
        assert run.state in RUNNING_FAMILY
        assert run.enabled
        assert run.guarded
        assert NOW - run.seen >= SILENCE * 99 / 100


@given(run=runs)
def test_who_is_looked_at_again_is_given_time(run: SilentRun) -> None:
    verdict = judge(run, now=NOW, silence=SILENCE)

    if isinstance(verdict, NotYet):
        assert verdict.rest >= SILENCE / 100


@pytest.mark.parametrize(
    ("guarded", "known", "silent", "is_mass"),
    [
        (24, 24, 24, False),
        (25, 25, 13, True),
        (25, 25, 12, False),
        (1_000_000, 1_000_000, 500_001, True),
        (1_000_000, 1_000_000, 500_000, False),
        (25, 0, 0, True),  # nobody pings at all
        (0, 0, 0, False),
        (30, 100, 85, False),  # many have finished since, and are counted no more
    ],
)
def test_it_is_a_mass_silence_when_fewer_than_half_of_many_ping(
    guarded: int, known: int, silent: int, is_mass: bool
) -> None:
    found = is_mass_silence(guarded=guarded, known=known, silent=silent, least=25, share=0.5)

    assert found is is_mass


def looked(*looks: tuple[float, bool]) -> Hold:
    """The hold after looks at these times, at which there was a mass silence or none."""
    hold = Hold()
    for now, is_mass in looks:
        hold = hold.look(is_mass=is_mass, now=now, silence=120)
    return hold


@pytest.mark.parametrize(
    ("looks", "is_held"),
    [
        ([(100, True)], True),
        ([(100, True), (219, True)], True),
        # One silence, and not for ever.
        ([(100, True), (219, True), (220, True)], False),
        # Most are heard again: the others have one silence more.
        ([(100, True), (190, True), (191, False)], True),
        ([(100, True), (190, True), (191, False), (309, False)], True),
        ([(100, True), (190, True), (191, False), (310, False)], False),
        # It was held to its end, so who is heard late had the time.
        ([(100, True), (219, True), (220, True), (221, False)], False),
        # It comes back, for the first time and for the last that counts as the same.
        ([(100, True), (150, True), (151, False), (260, True), (379, True)], True),
        ([(100, True), (200, True), (201, False), (310, True), (411, False), (429, True)], True),
        (
            [(100, True), (200, True), (201, False), (310, True), (411, False), (429, True), (460, True)],
            False,
        ),
        # Nobody looked for a silence: whatever was is over.
        ([(100, True), (5000, True)], True),
        ([(100, True), (5000, False)], False),
    ],
)  # fmt: skip
def test_a_mass_silence_is_held_once_and_its_stragglers_for_one_silence_more(
    looks: list[tuple[float, bool]], is_held: bool
) -> None:
    assert looked(*looks).holds(now=looks[-1][0], silence=120) is is_held
