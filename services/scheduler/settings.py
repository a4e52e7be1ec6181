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
        description="start times planned ahead for each schedule, one run for each clock; Prefect's own number",
    )
    schedule_tick: timedelta = Field(
        default=timedelta(seconds=5),
        description="how often schedules are checked for changes; events of the registry cause a check at once",
    )
    schedule_compare: timedelta = Field(
        default=timedelta(seconds=15),
        description="how often planned runs are compared with the ledger, and missing ones created again",
    )
    schedule_retry_interval: timedelta = Field(
        default=timedelta(minutes=15),
        description="how often a schedule that gave too few start times is computed again",
    )
    schedule_batch: int = Field(
        default=200, ge=1, description="rows of one transaction; it waits for as many publishes"
    )
