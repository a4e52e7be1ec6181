"""The circuit breaker of a receiver."""

from datetime import UTC, datetime, timedelta

from services.automations.domain.breaker import FAILURES, LONGEST, SHORTEST, Breaker

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def failed(times: int) -> Breaker:
    """Each failure as soon as it may be tried."""
    breaker = Breaker()
    for _ in range(times):
        breaker = breaker.after(unreachable=True, now=breaker.opened_until or NOW)
    return breaker


def test_the_fifth_failure_in_a_row_opens_it_and_the_fourth_does_not() -> None:
    assert not failed(FAILURES - 1).is_open(NOW)
    assert failed(FAILURES).opened_until == NOW + SHORTEST


def test_it_is_tried_again_at_the_very_end_of_its_time() -> None:
    breaker = failed(FAILURES)

    assert breaker.is_open(NOW + SHORTEST - timedelta(microseconds=1))
    assert not breaker.is_open(NOW + SHORTEST)


def test_it_stays_open_longer_each_time_up_to_five_minutes() -> None:
    assert failed(FAILURES + 1).opened_until == NOW + SHORTEST + 2 * SHORTEST
    before, after = failed(FAILURES + 50), failed(FAILURES + 51)
    assert before.opened_until is not None
    assert after.opened_until == before.opened_until + LONGEST


def test_a_hundred_tries_that_fail_together_leave_it_alone_no_longer_than_one() -> None:
    breaker = failed(FAILURES)
    for _ in range(100):
        breaker = breaker.after(unreachable=True, now=NOW)

    assert breaker == failed(FAILURES)


def test_an_answer_closes_it_and_forgets_the_failures() -> None:
    assert failed(50).after(unreachable=False, now=NOW) == Breaker()


def test_a_receiver_that_asks_for_time_is_left_alone_though_it_works() -> None:
    breaker = Breaker().after(unreachable=False, now=NOW, hold=timedelta(seconds=7))

    assert breaker == Breaker(failures=0, opened_until=NOW + timedelta(seconds=7))
