"""Settings of Lazarus."""

from datetime import timedelta
from typing import ClassVar, Self

from pydantic import Field, model_validator

from libs.runtime.settings import AtMost, PingSettings


class LazarusSettings(PingSettings):
    """How often, how late, how many."""

    relations: ClassVar[tuple[AtMost, ...]] = (
        AtMost(
            lesser="lazarus_spread",
            greater="lazarus_tick",
            times=0.5,
            why="a tick lasts as long as its proposals are spread, and after three intervals it counts as stuck",
        ),
    )
    may_be_none: ClassVar[frozenset[str]] = frozenset({"lazarus_spread"})

    lazarus_tick: timedelta = Field(
        default=timedelta(minutes=10),
        description="how often distressed runs are looked for among all live ones",
    )
    lazarus_due_tick: timedelta = Field(
        default=timedelta(seconds=10),
        description="how often they are looked for among the Submitted runs and those that fell silent",
    )
    lazarus_after: timedelta = Field(
        default=timedelta(minutes=10),
        description="silence of a distressed run: twenty missed pings, or a pod that did not come up;"
        " at least two silences (HEADWATER_HEARTBEAT_INTERVAL times HEADWATER_HEARTBEAT_MISSES)",
    )
    lazarus_limit: int = Field(
        default=10, ge=0, description="resurrections of a run before it is marked failed"
    )
    lazarus_tenant_rate: int = Field(
        default=5000, ge=1, description="proposals of one tick for one tenant; the rest wait a tick"
    )
    lazarus_spread: timedelta = Field(
        default=timedelta(minutes=8),
        description="many proposals of a tick are spread at random over this long, against a stampede:"
        " with the rate above ten a second, so 50,000 runs are back within two hours",
    )

    @model_validator(mode="after")
    def _check_patience(self) -> Self:
        """The row of a live run may be almost two silences old.

        The run may have missed pings for almost one, and its last heard ping may not be written: the heartbeat service
        writes a row only when it is older than HEADWATER_HEARTBEAT_WRITE_INTERVAL, which is below a silence.
        """
        silence = self.heartbeat_silence
        if self.lazarus_after < 2 * silence:
            msg = (
                f"HEADWATER_LAZARUS_AFTER: {self.lazarus_after.total_seconds():g} s must be at least"
                f" {2 * silence.total_seconds():g} s, two silences of {silence.total_seconds():g} s"
                " (HEADWATER_HEARTBEAT_INTERVAL times HEADWATER_HEARTBEAT_MISSES): a run that lives may be last seen"
                " almost so long ago"
            )
            raise ValueError(msg)
        return self
