"""How many bytes of log lines a tenant's native agents may hand over. Pure.

The stream of lines is first come, first served, and takes them faster than PostgreSQL does: what one tenant hands over
beyond its rate would lie before every other tenant's lines. Times are seconds of a steady clock.
"""

from collections import OrderedDict
from uuid import UUID

RATE = 8 << 20
"""Bytes a second of one tenant; PostgreSQL takes some 20 MiB/s, so that others' lines are written meanwhile."""
BURST = 32 << 20
"""Bytes that may come at once: what agents kept while they could not send."""
_REMEMBERED = 10_000  # tenants; a bucket is full again after four seconds


class LineRate:
    """A bucket for each tenant."""

    def __init__(self, *, rate: int = RATE, burst: int = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[UUID, tuple[float, float]] = OrderedDict()

    def spend(self, tenant_id: UUID, size: int, *, now: float) -> bool:
        """Take so many bytes; False when the tenant has to wait, and nothing is taken."""
        left, at = self._buckets.get(tenant_id, (float(self._burst), now))
        left = min(float(self._burst), left + self._rate * (now - at))
        taken = left >= size
        self._buckets[tenant_id] = (left - size if taken else left, now)
        self._buckets.move_to_end(tenant_id)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return taken
