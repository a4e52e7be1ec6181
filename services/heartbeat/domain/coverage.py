"""When this process may judge: only a time over which it could receive every ping. Pure.

Silence proves something only where we listened. A process that has just started, whose connection was away, that was
stopped, or that receives no signal of a gateway (so pings may not reach NATS) starts its coverage anew. So our own
outage delays the detection of a zombie by one silence at most, and never makes one.

Times are seconds of a monotonic clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Since when pings are heard without a gap, and the last confirmation of it; None: not yet."""

    since: float | None = None
    confirmed: float | None = None
    connection: int = 0
    """The number of the listener's connection then; another number means that pings were missed in between."""

    def confirm(self, now: float, *, lapse: float, connection: int) -> "Coverage":
        """Pings are heard now. After a gap of more than `lapse`, or on another connection, coverage starts anew."""
        is_whole = (
            self.since is not None
            and self.confirmed is not None
            and now - self.confirmed <= lapse
            and connection == self.connection
        )
        return Coverage(since=self.since if is_whole else now, confirmed=now, connection=connection)

    def spans(self, period: float, *, now: float, lapse: float) -> bool:
        """Whether pings were heard for the whole period that ends now. An expired confirmation does not count."""
        return (
            self.since is not None
            and self.confirmed is not None
            and now - self.confirmed <= lapse
            and now - self.since >= period
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """The facts that show now whether pings reach this process."""

    is_on_the_bus: bool
    is_listening: bool
    keeps_up: bool
    """Whether messages of the broker are read without delay."""
    gateway_silent_for: float | None
    """Seconds since the last signal of a gateway; None: none yet, or not needed."""
    needs_gateway: bool


def obstacles(signs: Signs, *, lapse: float) -> list[str]:
    """Why pings may not be heard now, one sentence each; empty when they are."""
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
