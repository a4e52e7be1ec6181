"""A circuit breaker: who has failed several times in a row is left alone for a while, then tried once more.

    closed --(FAILURES in a row)--> open --(time passes)--> one delivery after another is tried
      ^                               ^                         |
      +------------- success ---------+------- failure ---------+

What waits for an open one has used up no try. Per tenant and host: one tenant's trouble is not another's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

FAILURES = 5
"""Failures in a row that open it: a single lost packet is none, a receiver that is down has them in seconds."""
SHORTEST = timedelta(seconds=10)
LONGEST = timedelta(minutes=5)
"""A receiver that is back has its first delivery at most so long after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The state of one receiver: failures in a row, and until when it is left alone."""

    failures: int = 0
    opened_until: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether nothing is sent now."""
        return self.opened_until is not None and now < self.opened_until

    def after(
        self, *, unreachable: bool, now: datetime, hold: timedelta | None = None
    ) -> "Breaker":
        """The state after a try. `hold` is a time that the receiver asked for (Retry-After).

        A failure while it is open is of a try that began before: a hundred that fail together are one outage, not a
        hundred in a row, and make it no longer.
        """
        if unreachable and hold is None and self.is_open(now):
            return self
        failures = self.failures + 1 if unreachable else 0
        until = None
        if failures >= FAILURES:
            # 10 s, 20 s, 40 s ... 5 min
            until = now + min(SHORTEST * 2 ** min(failures - FAILURES, 10), LONGEST)
        if hold is not None:
            until = max(until or now, now + min(hold, LONGEST))
        return Breaker(failures=failures, opened_until=until)
