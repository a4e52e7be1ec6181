"""Settings of dispatch to native agents."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.runtime.settings import AtMost, Durations

_PREFIX = "HEADWATER_DISPATCH_"


class DispatchSettings(Durations):
    """Lengths of leases, intervals of agents' signs of life, precision of timers."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, title=_PREFIX, frozen=True, extra="ignore"
    )

    relations: ClassVar[tuple[AtMost, ...]] = (
        AtMost(
            lesser="acknowledge",
            greater="first_lease",
            why="a run would be given away again before the agent that was given it could say so",
        ),
        *(
            AtMost(
                lesser="renew",
                greater=lease,
                times=2,
                why="a lease outlives one renewal that is lost, or runs that live are started again",
            )
            for lease in ("start_lease", "run_lease")
        ),
    )

    claim_wait: timedelta = Field(
        default=timedelta(minutes=3),
        description="how long a claim waits here for a due run; so long a killed agent may show as present",
    )
    first_lease: timedelta = Field(
        default=timedelta(seconds=5),
        description="time for an agent to confirm a run that it was given; a dead agent keeps it this long",
    )
    start_lease: timedelta = Field(
        default=timedelta(seconds=30),
        description="a lease while the process starts: three renewals, two of which may be lost",
    )
    run_lease: timedelta = Field(
        default=timedelta(minutes=2),
        description="a lease while the run runs: as long as the silence that makes a zombie",
    )
    renew: timedelta = Field(
        default=timedelta(seconds=10), description="how often agents renew their leases"
    )
    kill_after: timedelta = Field(
        default=timedelta(seconds=30),
        description="time for a cancelled run to stop by itself before it is killed; half of the ledger's own deadline",
    )
    acknowledge: timedelta = Field(
        default=timedelta(seconds=2),
        description="how long an answer with runs waits for its receipt",
    )
    start_attempts: int = Field(
        default=5,
        ge=1,
        description="failed starts after which a run is failed instead of queued again",
    )
    tick: timedelta = Field(
        default=timedelta(seconds=1),
        description="how often due runs are looked for without a hint",
    )
    lapse_tick: timedelta = Field(
        default=timedelta(seconds=1), description="how often lapsed leases are looked for"
    )
    presence_tick: timedelta = Field(
        default=timedelta(seconds=5),
        description="how often signs of life are written down, together",
    )
    waiting_tick: timedelta = Field(
        default=timedelta(seconds=30),
        description="how often agents whose claims wait here are noted as present; clients believe it for a minute",
    )
    signal_interval: timedelta = Field(
        default=timedelta(seconds=15),
        description="how often agents elsewhere are sent a hint of a label set that nobody here waits for",
    )
    resume_rate: int = Field(
        default=100,
        ge=1,
        description="how many runs a second each ledger gives out of those that waited while the queue was paused",
    )
