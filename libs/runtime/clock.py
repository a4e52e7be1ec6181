"""The only place that asks the system clock. Cut-offs use the database's clock; this one is for timestamps of
messages."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time, aware, in UTC."""


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
