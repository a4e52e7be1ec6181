"""The back-off before a restart of an ended program: 0, 0.2 ... 5 s; reset after it has stayed up."""

from dataclasses import dataclass

_FIRST = 0.2  # seconds, after a first start at once
_LONGEST = 5.0  # seconds
_PROVEN_AFTER = 30.0  # seconds up, after which an end counts as a new problem


@dataclass(slots=True)
class Pauses:
    """The pauses of one program, in the order of its ends."""

    _next: float = 0.0

    def after(self, up: float) -> float:
        """Seconds to wait now that the program has ended, `up` seconds after its start (0: it never started)."""
        pause = 0.0 if up >= _PROVEN_AFTER else self._next
        self._next = min(max(_FIRST, pause * 2), _LONGEST)
        return pause
