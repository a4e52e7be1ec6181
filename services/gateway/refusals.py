"""Limits how often a refusal is written to the audit trail. Pure; the time is an argument.

A forbidden attempt belongs in the trail, but a script that tries a thousand times a second must not fill it: the first
refusal is written, then one a minute with their number.
"""

from collections import OrderedDict
from datetime import datetime, timedelta

QUIET = timedelta(minutes=1)
_REMEMBERED = 10_000  # pairs of an actor and a refused action


class Refusals:
    """Counts refusals by actor and action."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[datetime, int]] = OrderedDict()

    def worth_a_line(self, actor: str, refused: str, *, now: datetime) -> int | None:
        """The number of refusals for a line, including this one; None when it is too soon for another line."""
        key = (actor, refused)
        written, unsaid = self._last.get(key, (None, 0))
        if written is not None and now - written < QUIET:
            self._last[key] = (written, unsaid + 1)
            return None
        self._last[key] = (now, 0)
        self._last.move_to_end(key)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        return unsaid + 1
