"""Settings of the scheduler."""

from datetime import timedelta

from pydantic import Field

from libs.runtime.settings import ServiceSettings


class SchedulerSettings(ServiceSettings):
    """How far ahead, and how often."""

    schedule_ahead: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="instants ahead of each schedule, one run for each clock of an instant; Prefect's own number",
    )
    schedule_tick: timedelta = Field(
        default=timedelta(seconds=5),
        description="how often tables are compared; events of the registry bring a tick at once",
    )
    schedule_compare: timedelta = Field(
        default=timedelta(seconds=15),
        description="how often what is ahead is compared with the ledger, and made again where it is missing",
    )
    schedule_look_again: timedelta = Field(
        default=timedelta(minutes=15),
        description="when a schedule that yields too few instants is asked again",
    )
    schedule_batch: int = Field(
        default=200, ge=1, description="rows of one transaction; it waits for as many publishes"
    )
