"""How many log lines of one run are stored in a minute. Pure; of one process, so replicas each have their own count.

A loop that prints as fast as it can reaches the cap of its run in minutes, and its disk before anybody has seen it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

Row = TypeVar("Row")

MINUTE = 60.0


@dataclass(slots=True)
class Pace:
    """The lines of each run in the present minute. Times are seconds of a steady clock."""

    limit: int
    _minute: float = 0.0
    _written: "Counter[Any]" = field(default_factory=Counter)
    _noted: set[Any] = field(default_factory=set)

    def over(self, counted: Mapping[Any, int], *, now: float) -> dict[Any, int]:
        """Of runs with so many new lines those that bring too many, with how many of them are still stored."""
        if now - self._minute >= MINUTE:
            self._minute, self._written, self._noted = now, Counter(), set()
        return {
            run: max(0, self.limit - self._written[run])
            for run, count in counted.items()
            if run is not None and self._written[run] + count > self.limit
        }

    def unsaid(self, slowed: Iterable[Any]) -> set[Any]:
        """Of runs whose lines are dropped those to which nobody has said so in this minute."""
        return set(slowed) - self._noted

    def wrote(self, counted: Mapping[Any, int], said: Iterable[Any]) -> None:
        """So many lines are stored, and the notices of these runs."""
        self._written.update(counted)
        self._noted.update(said)


def first_of(
    rows: Sequence[Row], room: dict[Any, int], *, run_of: Callable[[Row], Any]
) -> list[Row]:
    """The first lines of each run in `room`, as many as it says, and all lines of the others. Uses `room` up."""
    kept: list[Row] = []
    for row in rows:
        run = run_of(row)
        if run in room:
            if not room[run]:
                continue
            room[run] -= 1
        kept.append(row)
    return kept
