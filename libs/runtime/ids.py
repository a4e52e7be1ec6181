"""The only place that makes ids: UUIDv7, so that new rows land on the right edge of every index."""

import os
import time
from collections.abc import Callable
from uuid import UUID

NewId = Callable[[], UUID]
"""Makes a fresh id."""


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
