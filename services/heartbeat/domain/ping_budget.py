"""How many pings a tenant may send. Pure.

A tenant's runs send a ping an interval each, and not all of them tell us that they live; four times as many, and some
thousands a second beside them, are still taken. What is more would keep other tenants' pings from being heard.

A tenant is the 16 bytes that its runs' keys begin with. Times are seconds of a steady clock.
"""

from collections.abc import Mapping

BASE = 5_000
"""Pings a second of a tenant without a run."""
_PER_RUN = 4  # pings an interval of each run that is known
_BURST = 15.0  # seconds' worth that may come at once: what waited while a connection was away


class PingBudget:
    """A bucket for each tenant that pings."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._buckets: dict[bytes, tuple[float, float]] = {}

    def spend(
        self, counts: Mapping[bytes, int], runs: Mapping[bytes, int], now: float
    ) -> set[bytes]:
        """Take so many pings of each tenant, of so many runs; the tenants that sent more than they may."""
        buckets: dict[bytes, tuple[float, float]] = {}
        over: set[bytes] = set()
        for tenant, count in counts.items():
            rate = BASE + _PER_RUN * runs.get(tenant, 0) / self._interval
            most = _BURST * rate
            left, at = self._buckets.get(tenant, (most, now))
            left = min(most, left + rate * (now - at)) - count
            if left < 0:
                over.add(tenant)
            buckets[tenant] = (max(left, 0.0), now)
        # Who has not pinged since keeps its bucket until it is full again.
        for tenant, (left, at) in self._buckets.items():
            if tenant not in buckets and now - at < _BURST:
                buckets[tenant] = (left, at)
        self._buckets = buckets
        return over
