"""Settings of the run ledger."""

from datetime import timedelta
from typing import ClassVar, Self

from pydantic import Field, ValidationError, model_validator

from libs.runtime.settings import AtMost, PingSettings, incoherence
from services.runs.dispatch.settings import DispatchSettings

_OF_AGENTS = tuple(
    AtMost(
        lesser=tick,
        greater="agent_silent_after",
        times=2,
        why="agents that live would be called silent between two signs of life that are written down",
    )
    for tick in ("waiting_tick", "presence_tick")
)


class RunsSettings(PingSettings):
    """Sizes of batches, retention times, and deadlines."""

    relations: ClassVar[tuple[AtMost, ...]] = (
        AtMost(
            lesser="commit_lanes",
            greater="postgres_pool_size",
            more=1,
            why="each lane holds a connection, and one is left for everything else",
        ),
    )

    commit_batch: int = Field(
        default=400,
        ge=1,
        description="states in one transaction; larger ones gain nothing and make callers wait",
    )
    commit_queue: int = Field(
        default=20_000,
        ge=1,
        description="states waiting; at 10,000/s that is two seconds, and more is refused and may be tried again",
    )
    commit_lanes: int = Field(
        default=2,
        ge=1,
        description="transactions at once: one is written while the other one's commit waits for the disk",
    )
    lazarus_limit: int = Field(
        default=10,
        ge=0,
        description="resurrections after which a zombie is failed at once instead of left to Lazarus",
    )
    cancel_deadline: timedelta = Field(
        default=timedelta(seconds=60),
        description="two of the client's 15 s polls, and half a minute to stop",
    )
    cancel_tick: timedelta = Field(
        default=timedelta(seconds=5), description="how often overdue cancellations are looked for"
    )
    late_after: timedelta = Field(
        default=timedelta(seconds=20), description="what the UI calls late; then a reason is given"
    )
    agent_silent_after: timedelta = Field(
        default=timedelta(minutes=1), description="what clients call an agent that is not alive"
    )
    late_tick: timedelta = Field(
        default=timedelta(seconds=3), description="how often late runs are given their reason"
    )
    log_cap: int = Field(
        default=1_000_000,
        ge=1,
        description="log lines of one run; a loop that prints for days must not fill the disk",
    )
    log_lines_per_minute: int = Field(
        default=60_000,
        ge=1,
        description="log lines of one run that a replica stores in a minute; the rest is dropped, and a line says so",
    )
    sweep_tick: timedelta = Field(
        default=timedelta(minutes=1),
        description="how often what a lost event left behind is looked for",
    )
    upkeep_tick: timedelta = Field(
        default=timedelta(hours=1), description="how often partitions are made and dropped"
    )
    state_retention: timedelta | None = Field(
        default=timedelta(days=180),
        description="histories of states, in whole weeks; half a year is what people look back",
    )
    log_retention: timedelta | None = Field(
        default=timedelta(days=30),
        description="log lines, in whole weeks; they are the bulk of the database",
    )
    run_retention: timedelta | None = Field(
        default=None,
        description="finished runs with their task runs; off, because a run is two rows and a record",
    )

    @model_validator(mode="after")
    def _check_agents(self) -> Self:
        """Dispatch has settings of its own, which must fit these."""
        try:
            dispatch = DispatchSettings()
        except ValidationError:
            return self  # checked where dispatch is constructed
        wrong = incoherence(_OF_AGENTS, dispatch, self)
        if wrong is not None:
            raise ValueError(wrong)
        return self
