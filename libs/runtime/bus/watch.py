"""Events of a connection to NATS, as log lines and as a metric for alerts.

nats-py reports them to callbacks only. Without these, a message that a slow consumer lost, or a subject that the
server's permissions refuse, would stay unknown.
"""

from collections.abc import Callable
from enum import StrEnum

import nats.errors

from libs.runtime import log, metrics

_QUIET = 10.0  # seconds between two lines of one kind; many are logged as one line with a count


class Event(StrEnum):
    """The kinds, which are the metric's label."""

    DISCONNECTED = "disconnected"
    RECONNECTED = "reconnected"
    CLOSED = "closed"
    SLOW_CONSUMER = "slow_consumer"
    PERMISSION = "permission_violation"
    AUTHORIZATION = "authorization"
    TIMED_OUT = "timeout"
    UNREACHABLE = "unreachable"
    OTHER = "error"


def event_of(error: BaseException) -> Event:
    """The kind of a connection error."""
    if isinstance(error, nats.errors.SlowConsumerError):
        return Event.SLOW_CONSUMER
    text = str(error).lower()
    if "permissions violation" in text:
        return Event.PERMISSION
    if "authorization" in text or "authentication" in text:
        return Event.AUTHORIZATION
    if isinstance(error, nats.errors.StaleConnectionError | nats.errors.NoServersError):
        return Event.UNREACHABLE  # before the next line: UnexpectedEOF is one of these
    if isinstance(error, TimeoutError):
        return Event.TIMED_OUT
    return Event.UNREACHABLE if isinstance(error, OSError) else Event.OTHER


class BusWatch:
    """The callbacks of one service's connection."""

    def __init__(self, service: str, *, monotonic: Callable[[], float]) -> None:
        self._service = service
        self._monotonic = monotonic
        self._log = log.get(service)
        self._told: dict[Event, float] = {}
        self._untold: dict[Event, int] = {}
        self._stopping = False
        self.last_error: BaseException | None = None

    def stopping(self) -> None:
        """From now on a closed connection is expected."""
        self._stopping = True

    async def on_error(self, error: Exception) -> None:
        """Something went wrong; the connection may well go on."""
        self.last_error = error
        kind = event_of(error)
        fields = {"error": str(error) or type(error).__name__}
        if isinstance(error, nats.errors.SlowConsumerError):
            fields = {"subject": error.subject}
        self._note(kind, fields)

    async def on_disconnected(self) -> None:
        """The server is gone; nats-py tries for ever."""
        if not self._stopping:
            metrics.DEPENDENCY_UP.labels(self._service, "nats").set(0)
            self._note(Event.DISCONNECTED, {})

    async def on_reconnected(self) -> None:
        """The connection is back, with its subscriptions."""
        metrics.DEPENDENCY_UP.labels(self._service, "nats").set(1)
        self._note(Event.RECONNECTED, {})

    async def on_closed(self) -> None:
        """The connection is closed for good: only a new process can open another."""
        if not self._stopping:
            self._note(Event.CLOSED, {})

    def _note(self, kind: Event, fields: dict[str, str]) -> None:
        metrics.BUS_EVENTS.labels(self._service, kind.value).inc()
        now = self._monotonic()
        if now - self._told.get(kind, -_QUIET) < _QUIET:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._told[kind] = now
        since = self._untold.pop(kind, 0)
        more = {"unlogged_before": since} if since else {}
        tell = self._log.info if kind is Event.RECONNECTED else self._log.warning
        tell(f"bus_{kind}", **fields, **more)
