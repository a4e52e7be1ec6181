"""A tenant's native agents hand over log lines at a rate; other tenants do not notice."""

from libs.runtime.ids import new_id
from services.runs.domain.line_rate import LineRate

FLOODER, OTHER = new_id(), new_id()


def test_what_waited_may_come_at_once_and_then_a_rate_holds() -> None:
    lines = LineRate(rate=100, burst=1_000)

    at_once = sum(lines.spend(FLOODER, 100, now=0.0) for _ in range(50))
    in_ten_seconds = sum(lines.spend(FLOODER, 100, now=second / 10) for second in range(1, 101))

    assert at_once == 10
    assert in_ten_seconds == 10


def test_a_flood_costs_another_tenant_nothing() -> None:
    lines = LineRate(rate=100, burst=1_000)
    while lines.spend(FLOODER, 100, now=0.0):
        pass

    assert lines.spend(OTHER, 1_000, now=0.0)


def test_what_is_refused_is_not_counted() -> None:
    lines = LineRate(rate=100, burst=1_000)
    assert lines.spend(FLOODER, 950, now=0.0)

    assert not any(lines.spend(FLOODER, 100, now=0.0) for _ in range(100))

    assert lines.spend(FLOODER, 100, now=0.5)
    assert len(lines._buckets) == 1
