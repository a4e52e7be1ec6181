"""What becomes of a delivery after a try."""

from datetime import UTC, datetime, timedelta

import pytest

from services.automations.domain.retries import (
    DELAYS,
    PATIENCE,
    Again,
    Answer,
    Delivered,
    GiveUp,
    SwitchOff,
    of_http,
    retry_after,
    verdict,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
NONE = timedelta(0)


def after(
    status: int, *, attempts: int = 1, age: timedelta = NONE, chance: float = 0.5, **headers: str
) -> object:
    answer = of_http(
        status, "", {name.replace("_", "-"): value for name, value in headers.items()}, now=NOW
    )
    return verdict(answer, attempts=attempts, age=age, chance=chance)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_delivered(status: int) -> None:
    assert after(status) == Delivered()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 301, 302, 307, 308])
def test_a_refusal_for_good_is_not_repeated(status: int) -> None:
    found = after(status)

    assert isinstance(found, GiveUp)
    assert str(status) in found.reason


@pytest.mark.parametrize("status", [408, 409, 423, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert isinstance(after(status), Again)


def test_410_switches_off() -> None:
    assert after(410) == SwitchOff()


@pytest.mark.parametrize("attempts", range(1, len(DELAYS) + 1))
def test_waits_grow_and_are_spread_around_their_length(attempts: int) -> None:
    delay = DELAYS[attempts - 1]

    shortest, longest = (
        after(500, attempts=attempts, chance=0),
        after(500, attempts=attempts, chance=1),
    )

    assert shortest == Again(delay * 0.8, hold=False)
    assert longest == Again(delay * 1.2, hold=False)


def test_the_tries_reach_beyond_a_day_and_then_end() -> None:
    shortest = sum((delay * 0.8 for delay in DELAYS), timedelta(0))

    assert shortest > timedelta(hours=24)
    assert isinstance(after(500, attempts=len(DELAYS) + 1), GiveUp)


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_a_time_that_the_receiver_names_wins_and_nobody_comes_sooner(chance: float) -> None:
    found = after(429, retry_after="7", chance=chance)

    assert isinstance(found, Again)
    assert timedelta(seconds=7) <= found.after <= timedelta(seconds=9)
    assert found.hold


def test_a_receiver_may_put_us_off_for_a_day_however_often() -> None:
    assert isinstance(
        after(429, attempts=5000, age=PATIENCE - timedelta(seconds=1), retry_after="7"), Again
    )
    assert isinstance(after(429, attempts=5000, age=PATIENCE, retry_after="7"), GiveUp)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), ("", None), ("soon", None), ("-3", None), ("1.5", None),
        ("0", timedelta(0)), (" 120 ", timedelta(minutes=2)),
        ("Mon, 30 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Mon, 30 Nov 2026 11:00:00 GMT", timedelta(0)),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: timedelta | None) -> None:
    assert retry_after(value, now=NOW) == expected


def test_an_endless_number_is_cut_to_a_day() -> None:
    found = after(503, retry_after="9" * 400, chance=0)

    assert found == Again(PATIENCE, hold=True)


def test_a_refusal_of_our_own_is_for_good_and_says_why() -> None:
    answer = Answer(error="localhost is 127.0.0.1, which is not a public address", for_good=True)

    assert verdict(answer, attempts=1, age=NONE, chance=0) == GiveUp(answer.error or "")
