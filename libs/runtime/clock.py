"""The only place that asks the system clock. The database's clock rules for cut-offs; this one stamps messages."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Answers the current moment, aware, in UTC."""


def utc_now() -> datetime:
    """The current moment in UTC."""
    return datetime.now(UTC)
