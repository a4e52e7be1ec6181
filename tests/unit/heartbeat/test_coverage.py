"""When we are entitled to judge."""

from dataclasses import replace

import pytest

from services.heartbeat.domain.coverage import Coverage, Signs, obstacles

LAPSE, SILENCE = 20.0, 120.0
FINE = Signs(
    is_on_the_bus=True,
    is_listening=True,
    keeps_up=True,
    gateway_silent_for=5.0,
    needs_gateway=True,
)


def confirmed(*moments: float, connection: int = 0) -> Coverage:
    coverage = Coverage()
    for moment in moments:
        coverage = coverage.confirm(moment, lapse=LAPSE, connection=connection)
    return coverage


def spans(coverage: Coverage, now: float) -> bool:
    return coverage.spans(SILENCE, now=now, lapse=LAPSE)


def test_who_has_just_started_judges_nobody() -> None:
    assert not spans(Coverage(), 1000)
    assert not spans(confirmed(1000), 1000)


def test_listening_for_exactly_the_silence_is_enough() -> None:
    steady = confirmed(*range(0, 121, 5))

    assert not spans(steady, 119.9)
    assert spans(steady, 120)


def test_a_confirmation_that_lapsed_entitles_to_nothing() -> None:
    """A process that was stopped and goes on believes that no time has passed; its clock knows better."""
    steady = confirmed(*range(0, 201, 5))

    assert spans(steady, 220)
    assert not spans(steady, 220.1)


@pytest.mark.parametrize(("gap", "since"), [(20, 0), (20.1, 120.1)])
def test_after_a_gap_the_time_begins_anew(gap: float, since: float) -> None:
    assert confirmed(*range(0, 101, 5), 100 + gap).since == since


def test_another_connection_begins_anew_however_short_the_gap() -> None:
    steady = confirmed(*range(0, 201, 5))

    assert steady.confirm(202, lapse=LAPSE, connection=1).since == 202


def test_where_all_is_well_nothing_is_in_the_way() -> None:
    assert obstacles(FINE, lapse=LAPSE) == []


@pytest.mark.parametrize(
    ("signs", "reasons"),
    [
        (replace(FINE, is_on_the_bus=False, keeps_up=False), ["NATS is not connected"]),
        (replace(FINE, is_listening=False), ["the connection that hears pings is not up"]),
        (replace(FINE, keeps_up=False), ["pings come faster than they are heard"]),
        (
            replace(FINE, gateway_silent_for=None),
            ["no gateway is heard, so pings may not come through"],
        ),
        (
            replace(FINE, gateway_silent_for=20.1),
            ["no gateway is heard, so pings may not come through"],
        ),
        (replace(FINE, gateway_silent_for=20.0), []),
        (replace(FINE, gateway_silent_for=None, needs_gateway=False), []),
        (
            replace(FINE, gateway_silent_for=99.0, is_listening=False),
            [
                "no gateway is heard, so pings may not come through",
                "the connection that hears pings is not up",
            ],
        ),
    ],
)
def test_what_keeps_pings_from_being_heard_is_said(signs: Signs, reasons: list[str]) -> None:
    assert obstacles(signs, lapse=LAPSE) == reasons
