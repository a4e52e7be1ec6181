"""How many pings a tenant may send. Pure.

Each run of a tenant sends one ping in an interval, and we do not know all of its runs. So four times as many are
accepted, and some thousands a second more. Beyond that, they would delay other tenants' pings.

A tenant is given as the first 16 bytes of its runs' keys. Times are seconds of a monotonic clock.
"""

from collections.abc import Mapping

BASE = 5_000
"""Pings a second for a tenant without a run."""
_PER_RUN = 4  # pings in an interval for each known run
_BURST = 15.0  # seconds' worth that may come at once: pings that waited while a connection was away


class PingBudget:
    """A token bucket for each tenant that pings."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._buckets: dict[bytes, tuple[float, float]] = {}

    def spend(
        self, counts: Mapping[bytes, int], runs: Mapping[bytes, int], now: float
    ) -> set[bytes]:
        """Count pings by tenant, with the number of its runs; returns the tenants that sent too many."""
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
        # A tenant that stopped pinging keeps its bucket until it is full again.
        for tenant, (left, at) in self._buckets.items():
            if tenant not in buckets and now - at < _BURST:
                buckets[tenant] = (left, at)
        self._buckets = buckets
        return over
