"""The loops of the scheduler: one tick per duty."""

from libs.runtime.loop import Duty
from services.scheduler.planner import Planner
from services.scheduler.settings import SchedulerSettings


def duties(settings: SchedulerSettings, planner: Planner) -> tuple[Duty, ...]:
    """Both of them."""
    return (
        Duty("schedules", settings.schedule_tick, planner.tick),
        Duty("differences", settings.schedule_compare, planner.compare),
    )
