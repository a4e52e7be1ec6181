"""When a silent run is a zombie."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.states import RUNNING_FAMILY, State
from services.heartbeat.domain import (
    ArmAgain,
    Chorus,
    Drop,
    Hearing,
    Ping,
    SilentRun,
    Why,
    Zombie,
    is_still_silent,
    is_still_unheard,
    judge,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SILENCE = timedelta(minutes=2)
LISTENING = Hearing(since=NOW - timedelta(hours=1))
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
    assert judge(RUN, now=NOW, silence=SILENCE, hearing=LISTENING) == Zombie(last_seen=RUN.seen)


def test_a_run_that_is_being_cancelled_is_judged_like_a_running_one() -> None:
    run = replace(RUN, state="Cancelling")

    assert isinstance(judge(run, now=NOW, silence=SILENCE, hearing=LISTENING), Zombie)


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
    assert judge(run, now=NOW, silence=SILENCE, hearing=LISTENING) == Drop(why=why)


def test_a_run_that_was_heard_meanwhile_is_armed_for_the_rest_of_its_time() -> None:
    run = replace(RUN, seen=NOW - timedelta(seconds=50))

    assert judge(run, now=NOW, silence=SILENCE, hearing=LISTENING) == ArmAgain(
        after=timedelta(seconds=70), why=Why.ALIVE
    )


def test_a_sign_of_life_may_have_been_written_a_tenth_of_the_silence_late() -> None:
    run = replace(RUN, seen=NOW - timedelta(seconds=108))

    assert isinstance(judge(run, now=NOW, silence=SILENCE, hearing=LISTENING), Zombie)


@pytest.mark.parametrize(
    "since", [None, NOW, NOW - SILENCE + timedelta(microseconds=1)], ids=["deaf", "new", "almost"]
)
def test_silence_that_we_did_not_listen_to_proves_nothing(since: datetime | None) -> None:
    assert judge(RUN, now=NOW, silence=SILENCE, hearing=Hearing(since=since)) == ArmAgain(
        after=SILENCE, why=Why.DEAF
    )


def test_a_run_whose_ping_fired_and_is_the_newest_still_is_silent() -> None:
    assert is_still_silent(NOW, Ping(sent=NOW, sequence=7))
    assert is_still_silent(NOW, None)


@pytest.mark.parametrize(
    "off", [timedelta(seconds=1), -timedelta(hours=1)], ids=["later", "behind"]
)
def test_another_ping_is_a_sign_of_life_whatever_its_sender_says_the_time_is(
    off: timedelta,
) -> None:
    assert not is_still_silent(NOW, Ping(sent=NOW + off, sequence=7))


def test_whose_newest_ping_is_older_than_the_silence_is_unheard_by_all_replicas() -> None:
    newest = Ping(sent=NOW, sequence=7)

    assert is_still_unheard(newest, sequence=7, since=NOW)
    assert not is_still_unheard(newest, sequence=6, since=NOW)
    assert not is_still_unheard(newest, sequence=7, since=NOW - timedelta(microseconds=1))


def test_listening_for_exactly_the_silence_is_enough() -> None:
    assert isinstance(
        judge(RUN, now=NOW, silence=SILENCE, hearing=Hearing(since=NOW - SILENCE)), Zombie
    )


def test_mass_silence_is_held() -> None:
    hearing = replace(LISTENING, mass_silence=True)

    assert judge(RUN, now=NOW, silence=SILENCE, hearing=hearing) == ArmAgain(
        after=SILENCE, why=Why.MASS_SILENCE
    )


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
hearings = st.builds(
    Hearing,
    since=st.none() | st.timedeltas(timedelta(0), timedelta(1)).map(lambda ago: NOW - ago),
    mass_silence=st.booleans(),
)


@given(run=runs, hearing=hearings)
def test_nobody_is_a_zombie_unless_everything_speaks_for_it(
    run: SilentRun, hearing: Hearing
) -> None:
    if isinstance(judge(run, now=NOW, silence=SILENCE, hearing=hearing), Zombie):
        assert run.state in RUNNING_FAMILY
        assert run.enabled
        assert run.guarded
        assert hearing.since is not None
        assert NOW - hearing.since >= SILENCE
        assert not hearing.mass_silence
        assert NOW - run.seen >= SILENCE * 9 / 10


@given(run=runs, hearing=hearings)
def test_who_is_armed_again_is_given_time(run: SilentRun, hearing: Hearing) -> None:
    verdict = judge(run, now=NOW, silence=SILENCE, hearing=hearing)

    if isinstance(verdict, ArmAgain):
        assert verdict.after >= SILENCE / 10


@pytest.mark.parametrize(
    ("guarded", "pings", "silent"),
    [(24, 0, False), (25, 12, True), (25, 13, False), (1_000_000, 499_999, True), (0, 0, False)],
)
def test_the_chorus_is_silent_when_fewer_than_half_of_many_ping(
    guarded: int, pings: int, silent: bool
) -> None:
    assert Chorus(guarded=guarded, pings=pings).is_silent(least=25, share=0.5) is silent
