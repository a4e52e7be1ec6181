"""Which refusals the audit trail repeats. Pure; the time is an argument.

Somebody who tries what they may not do belongs in the trail, and a script that tries it a thousand times a second does
not belong there a thousand times: the first refusal is written, then one a minute with how many there were.
"""

from collections import OrderedDict
from datetime import datetime, timedelta

QUIET = timedelta(minutes=1)
_REMEMBERED = 10_000  # pairs of an actor and what it was refused


class Refusals:
    """Counts refusals by actor and by what was refused."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[datetime, int]] = OrderedDict()

    def worth_a_line(self, actor: str, refused: str, *, now: datetime) -> int | None:
        """How many refusals a line is about, this one among them; None when it is too soon for another line."""
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
