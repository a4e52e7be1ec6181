"""The only place that makes ids: UUIDv7, so that new rows land on the right edge of every index."""

import os
import time
from collections.abc import Callable
from uuid import UUID, SafeUUID

NewId = Callable[[], UUID]
"""Makes a fresh id."""


_drawn: list[int] = []
_DRAW = 256
# A forked child would give out the same ids as its parent.
os.register_at_fork(after_in_child=_drawn.clear)
_RANDOM = (1 << 80) - 1 & ~(0xF << 76) & ~(0x3 << 62)
_MARKS = 0x7 << 76 | 0x2 << 62  # version and variant
_set = object.__setattr__  # a UUID's own refuses


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits.

    Put together as `uuid` does it itself, past its constructor, whose checks are half of an id's cost: every state and
    log line needs some.
    """
    made = UUID.__new__(UUID)
    _set(made, "int", time.time_ns() // 1_000_000 << 80 | _random_bits())
    _set(made, "is_safe", SafeUUID.unknown)
    return made


def _random_bits() -> int:
    """The part after the milliseconds, from the kernel's random bits.

    Drawn for many ids at once: a call of the kernel costs more than all the rest of an id. `pop` and `extend` are one
    step each, so threads may share the list.
    """
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            block = os.urandom(10 * _DRAW)
            _drawn.extend(
                int.from_bytes(block[start : start + 10]) & _RANDOM | _MARKS
                for start in range(0, len(block), 10)
            )


_LAST_FIELD = (1 << 48) - 1


def texts_from(first: UUID, count: int) -> list[str]:
    """This many ids as text, counted up from a fresh one: RFC 9562 (6.2) allows a counter after random bits.

    For rows that are made by the hundred and are only stored: a third of the cost.
    """
    head, counter = str(first)[:24], first.int & _LAST_FIELD
    return [f"{head}{counter + index & _LAST_FIELD:012x}" for index in range(count)]
