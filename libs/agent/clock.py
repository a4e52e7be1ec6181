"""The clock and the ids of the agent, which runs where `libs.runtime` is not installed."""

import os
import time
from datetime import UTC, datetime
from uuid import UUID


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the agent's only question to the system clock


def new_id() -> UUID:
    """A UUIDv7: milliseconds, then random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
