"""When this process is entitled to judge: over a time in which it was in a position to hear every ping. Pure.

Silence proves something only where we listened. A process that has just started, whose connection was away, that was
stopped, or that hears no gateway (so that pings may not get as far as NATS) starts to count anew. Hence an outage of
ours delays a zombie by one silence at most, and never makes one.

Times are seconds of a steady clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Since when pings are heard without a gap, and when that was confirmed last; None: not yet."""

    since: float | None = None
    confirmed: float | None = None
    connection: int = 0
    """Which of its connections the listener had then; another one means that pings went past us in between."""

    def confirm(self, now: float, *, lapse: float, connection: int) -> "Coverage":
        """Pings are heard now. After a gap of more than `lapse`, or on another connection, a new time begins."""
        is_whole = (
            self.since is not None
            and self.confirmed is not None
            and now - self.confirmed <= lapse
            and connection == self.connection
        )
        return Coverage(since=self.since if is_whole else now, confirmed=now, connection=connection)

    def spans(self, period: float, *, now: float, lapse: float) -> bool:
        """Whether pings were heard for the whole period that ends now. A lapsed confirmation is none."""
        return (
            self.since is not None
            and self.confirmed is not None
            and now - self.confirmed <= lapse
            and now - self.since >= period
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What tells at this moment whether pings get as far as this process."""

    is_on_the_bus: bool
    is_listening: bool
    keeps_up: bool
    """Whether what the broker sends now is read at once."""
    gateway_silent_for: float | None
    """Seconds since a gateway said that it lives; None: not yet, or not needed."""
    needs_gateway: bool


def obstacles(signs: Signs, *, lapse: float) -> list[str]:
    """Why pings may not be heard now, one sentence each; none when they are."""
    if not signs.is_on_the_bus:
        return ["NATS is not connected"]
    found: list[str] = []
    if signs.needs_gateway and (
        signs.gateway_silent_for is None or signs.gateway_silent_for > lapse
    ):
        found.append("no gateway is heard, so pings may not come through")
    if not signs.is_listening:
        found.append("the connection that hears pings is not up")
    elif not signs.keeps_up:
        found.append("pings come faster than they are heard")
    return found
