"""How fast the runs that waited during a pause are given out. Pure: the time is an argument.

A queue that was paused for a night may hold a hundred thousand due runs. Agents with much room would start them all
within seconds, and what the flows work on would feel it.
"""

from dataclasses import dataclass

_WINDOW = 0.1
"""Seconds in which a tenth of a second's runs are given out."""


@dataclass(slots=True)
class Release:
    """So many runs in each window; `now` is by any monotonic clock, in seconds."""

    began: float = float("-inf")
    taken: int = 0

    def room(self, rate: int, *, now: float) -> int:
        """How many more may be given out now, at `rate` runs a second."""
        if now >= self.reopens:
            self.began, self.taken = now, 0
        return max(0, max(1, round(rate * _WINDOW)) - self.taken)

    def take(self, count: int) -> None:
        """So many were given out."""
        self.taken += count

    @property
    def reopens(self) -> float:
        """When the next window begins."""
        return self.began + _WINDOW
