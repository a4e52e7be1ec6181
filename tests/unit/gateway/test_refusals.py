"""The trail says that somebody tried, without being flooded by how often."""

from datetime import UTC, datetime, timedelta

from services.gateway.refusals import Refusals

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_first_refusal_is_written_and_the_next_ones_are_counted() -> None:
    refusals = Refusals()

    said = [refusals.worth_a_line("a", "x", now=NOON + timedelta(seconds=s)) for s in range(61)]

    assert said[0] == 1
    assert said[1:60] == [None] * 59
    assert said[60] == 60


def test_each_actor_and_each_thing_is_counted_apart() -> None:
    refusals = Refusals()

    assert [refusals.worth_a_line(*pair, now=NOON) for pair in ("ax", "ay", "bx", "ax")] == [
        1, 1, 1, None,
    ]  # fmt: skip


def test_ten_thousand_actors_are_remembered_at_most() -> None:
    refusals = Refusals()

    for number in range(10_001):
        refusals.worth_a_line(str(number), "x", now=NOON)

    assert refusals.worth_a_line("0", "x", now=NOON) == 1
    assert refusals.worth_a_line("10000", "x", now=NOON) is None
