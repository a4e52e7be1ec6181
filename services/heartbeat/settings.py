"""Settings of the heartbeat service."""

from datetime import timedelta
from typing import ClassVar, Self

from pydantic import Field, model_validator

from libs.contracts.heartbeat import HEARD_WITHIN
from libs.runtime.settings import AtMost, PingSettings

LAPSE = 4  # confirmations of the watch that may be missed
# The row of a run that pings is younger than the silence by at least a tenth of it.
MARGIN = 10


class HeartbeatSettings(PingSettings):
    """The definition of silence, and the margins."""

    relations: ClassVar[tuple[AtMost, ...]] = (
        AtMost(
            lesser="alive_every",
            greater="heartbeat_check_interval",
            times=2 / LAPSE,
            unless="heartbeat_needs_gateway",
            why="one lost report of a live gateway would make four checks fail, and no run would be judged",
        ),
    )

    heartbeat_write_interval: timedelta = Field(
        default=timedelta(seconds=60),
        description="how old last_seen may be before a ping writes it again; saves PostgreSQL half of the writes",
    )
    heartbeat_batch: int = Field(default=2000, ge=1, description="pings of one statement")
    heartbeat_sweep: timedelta = Field(
        default=timedelta(seconds=60),
        description="how often the tables are searched for silent runs that no replica monitors",
    )
    heartbeat_sweep_grace: timedelta = Field(
        default=timedelta(seconds=60),
        description="added to the silence: by then a replica that monitors the run has announced it",
    )
    heartbeat_zombie_retention: timedelta = Field(
        default=timedelta(days=7),
        ge=timedelta(hours=1),  # Lazarus reads those of the last half hour
        description="how long it is kept that a run was announced as a zombie, after the run has ended",
    )
    heartbeat_check_interval: timedelta = Field(
        default=timedelta(seconds=5),
        le=HEARD_WITHIN / 2,  # otherwise Lazarus would judge no run between two confirmations
        description="how often it is checked that pings arrive; after four failed checks no run is judged",
    )
    heartbeat_needs_gateway: bool = Field(
        default=True, description="false where all pings come over NATS, none through a gateway"
    )
    heartbeat_mass_silence_runs: int = Field(
        default=25,
        ge=1,
        description="monitored runs of a tenant from which on a mass silence is recognised",
    )
    heartbeat_mass_silence_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="when a smaller share of them still pings, it is a mass silence, and none is declared a zombie yet",
    )

    @model_validator(mode="after")
    def _check_silence(self) -> Self:
        """A silence shorter than the interval of its signs would make zombies of live runs."""
        silence = self.heartbeat_silence
        whole = (
            f"a silence of {silence.total_seconds():g} s (HEADWATER_HEARTBEAT_INTERVAL times"
            " HEADWATER_HEARTBEAT_MISSES)"
        )
        if self.heartbeat_lapse >= silence:
            msg = (
                f"HEADWATER_HEARTBEAT_CHECK_INTERVAL: that pings do not arrive is known after {LAPSE} failed checks,"
                f" {self.heartbeat_lapse.total_seconds():g} s, which must be shorter than {whole}"
            )
            raise ValueError(msg)
        oldest = self.heartbeat_write_interval + self.heartbeat_interval
        if oldest > silence - silence / MARGIN:
            msg = (
                f"HEADWATER_HEARTBEAT_WRITE_INTERVAL: what is written of a run that pings may be"
                f" {oldest.total_seconds():g} s old, with the interval, which must be well below {whole}"
            )
            raise ValueError(msg)
        return self

    @property
    def heartbeat_lapse(self) -> timedelta:
        """After this long without a confirmation there is a gap in the coverage."""
        return self.heartbeat_check_interval * LAPSE
