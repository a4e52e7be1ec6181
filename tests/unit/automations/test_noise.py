"""How often a hook speaks."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.automations.domain.noise import (
    Rate,
    Seen,
    digest,
    fault_of_throttle,
    firings,
    span,
    throttle_of,
)

T = datetime(2026, 1, 1, tzinfo=UTC)
RATE = Rate(times=3, within=timedelta(seconds=60))


def seen(*seconds: float) -> list[Seen]:
    return [Seen(UUID(int=int(s * 10)), T + timedelta(seconds=s)) for s in seconds]


@pytest.mark.parametrize(
    ("waiting", "new", "found"),
    [
        ([], [0, 30], []),
        ([], [0, 30, 59.9], [3]),
        ([], [0, 30, 60], []),
        ([0, 30], [59], [3]),
        ([], [0, 1, 2, 3, 4], [3]),
        ([], [0, 1, 2, 3, 4, 5], [3, 3]),
        ([], [59, 0, 30], [3]),
    ],
)
def test_the_event_that_makes_the_number_full_fires_and_the_count_begins_anew(
    waiting: list[float], new: list[float], found: list[int]
) -> None:
    assert [len(each) for each in firings(RATE, seen(*waiting), seen(*new))] == found


def test_a_digest_has_the_count_and_the_first_names_and_no_variable_of_one_run() -> None:
    events = [
        {
            "event_name": "E", "id": str(n), "timestamp": str(n), "flow_name": "f", "flow_run_name": f"r{n}",
            "flow_run_id": "x",
        }
        for n in range(1200)
    ]  # fmt: skip

    first = digest(None, events[:3], RATE)
    grown = digest(first, events[3:], RATE)

    assert first["message"].startswith(
        "3 more of E within 1 min, not sent one by one: f / r0, f / r1, f / r2."
    )
    assert (grown["count"], grown["id"]) == (1200, "0")
    assert grown["first_names"] == [f"f / r{n}" for n in range(5)]
    assert "f / r4 and 1,195 more." in grown["message"]
    assert "flow_run_id" not in grown


def test_people_get_sixty_messages_a_minute_and_machines_all() -> None:
    own = {"times": 2, "within_seconds": 10}

    assert throttle_of("SlackNotificationAction", None) == Rate(
        times=60, within=timedelta(minutes=1)
    )
    assert throttle_of("WebhookAction", None) is None
    assert throttle_of("WebhookAction", own) == Rate(times=2, within=timedelta(seconds=10))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"times": 1}, "throttle.within_seconds: give both"),
        ({"times": True, "within_seconds": 1}, "throttle.times must be a whole number"),
        ({"times": 1, "within_seconds": 0}, "throttle.within_seconds must be a whole number"),
        ({"times": 1, "within_seconds": 1, "x": 1}, "throttle.x: there is no such field"),
    ],
)
def test_a_wrong_throttle_is_refused_with_its_field(given: dict[str, object], said: str) -> None:
    assert str(fault_of_throttle(given)).startswith(said)


def test_a_throttle_may_be_left_out_or_be_empty() -> None:
    assert fault_of_throttle(None) is None
    assert fault_of_throttle({}) is None
    assert fault_of_throttle({"times": 1, "within_seconds": 1}) is None


@pytest.mark.parametrize(("seconds", "text"), [(7200, "2 h"), (600, "10 min"), (90, "90 s")])
def test_times_are_said_in_the_largest_unit_that_fits(seconds: int, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text
