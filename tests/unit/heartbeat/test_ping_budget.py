"""How many pings a tenant may send."""

from services.heartbeat.domain.ping_budget import BASE, PingBudget

FLOOD, CALM = b"f" * 16, b"c" * 16


def test_a_million_runs_ping_within_their_budget_for_ever() -> None:
    budget = PingBudget(30)

    over = [budget.spend({CALM: 34_000}, {CALM: 1_000_000}, second) for second in range(1_000)]

    assert not any(over)


def test_a_flood_is_over_its_budget_within_a_second_and_nobody_else_is() -> None:
    budget = PingBudget(30)

    assert budget.spend({FLOOD: 300_000, CALM: 1_000}, {CALM: 100}, 0) == {FLOOD}


def test_a_small_flood_is_over_its_budget_after_some_seconds() -> None:
    budget = PingBudget(30)

    over = [budget.spend({FLOOD: 3 * BASE}, {}, second) for second in range(20)]

    assert over[0] == set()
    assert over[-1] == {FLOOD}


def test_pings_that_waited_for_a_connection_may_come_at_once() -> None:
    budget = PingBudget(30)
    budget.spend({CALM: 3_000}, {CALM: 100_000}, 0)

    assert budget.spend({CALM: 200_000}, {CALM: 100_000}, 60) == set()


def test_who_stops_flooding_may_ping_again() -> None:
    budget = PingBudget(30)
    budget.spend({FLOOD: 300_000}, {}, 0)
    budget.spend({}, {}, 10)

    assert budget.spend({FLOOD: BASE}, {}, 20) == set()
