"""The only place that makes ids: UUIDv7, so that new rows land on the right edge of every index."""

import os
import time
from collections.abc import Callable
from uuid import UUID

NewId = Callable[[], UUID]
"""Makes a fresh id."""


_drawn: list[bytes] = []
_DRAW = 256
# A forked child would hand out the very ids that its parent does.
os.register_at_fork(after_in_child=_drawn.clear)


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(_random_bytes())
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def _random_bytes() -> bytes:
    """Ten bytes that the kernel has given nobody else.

    Drawn for many ids at once: every state and log line needs some, and a call of the kernel costs more than all the
    rest of an id. `pop` and `extend` are one step each, so threads may share the list.
    """
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            block = os.urandom(10 * _DRAW)
            _drawn.extend(block[start : start + 10] for start in range(0, len(block), 10))
