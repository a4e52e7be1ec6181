"""Settings of the heartbeat service."""

from datetime import timedelta

from pydantic import Field

from libs.contracts.heartbeat import SILENCE
from libs.runtime.settings import ServiceSettings


class HeartbeatSettings(ServiceSettings):
    """What silence is, and how sure we must be."""

    heartbeat_interval: timedelta = Field(
        default=timedelta(seconds=30), description="how often clients ping (Core's own default)"
    )
    heartbeat_silence: timedelta = Field(
        default=SILENCE,
        description="silence of a dead run: four missed pings. The gateway arms with the same value",
    )
    heartbeat_coarse: timedelta = Field(
        default=timedelta(seconds=60),
        description="how old last_seen may grow before a ping writes it: spares PostgreSQL half the writes",
    )
    heartbeat_batch: int = Field(default=2000, ge=1, description="pings of one statement")
    heartbeat_sweep: timedelta = Field(
        default=timedelta(seconds=60), description="how often the tables are searched for lost runs"
    )
    heartbeat_sweep_grace: timedelta = Field(
        default=timedelta(seconds=60),
        description="beyond silence, coarseness and one interval: then the broker must have spoken",
    )
    heartbeat_watch: timedelta = Field(
        default=timedelta(seconds=5),
        description="how often we confirm that pings are heard; four missed ones are a gap",
    )
    heartbeat_needs_gateway: bool = Field(
        default=True, description="false where all pings come over NATS, none through a gateway"
    )
    heartbeat_mass_runs: int = Field(
        default=25, ge=1, description="guarded runs from which on mass silence can be told"
    )
    heartbeat_mass_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of them that must ping; below it silences are held",
    )
