"""What `runs` is asked about one flow: which instants to make, when to look again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from libs.contracts.runs import ScheduledInstant
from services.scheduler.domain.schedules import Schedule, run_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The next instants of a flow. `next_due` None: the schedule is over, or says nothing."""

    instants: tuple[ScheduledInstant, ...]
    horizon: datetime | None
    next_due: datetime | None


def propose(schedule: Schedule, *, now: datetime, ahead: int, look_again: timedelta) -> Proposal:
    """The next `ahead` events, never in the past; look again when the first of them has passed.

    A schedule that yields fewer may have ended, or its filters may have hidden what comes (Core looks at a bounded
    number of events per question), so it is looked at again after `look_again`.
    """
    events = schedule.next(ahead, after=now)
    instants: dict[tuple[datetime, str], ScheduledInstant] = {}
    for event in events:
        start = event.start_time.astimezone(UTC)
        if start <= now:  # an adjustment may move an event back
            continue
        labels = None if event.labels is None else list(event.labels)
        digest = run_hash(event.parameters, labels)
        instants.setdefault(
            (start, digest),
            ScheduledInstant(
                start_time=start,
                schedule_hash=digest,
                parameters=dict(event.parameters),
                labels=labels,
            ),
        )
    starts = [start for start, _ in instants]
    complete = len(events) == ahead
    due = [*starts] if complete else [*starts, now + look_again]
    return Proposal(
        instants=tuple(instants.values()),
        horizon=max(starts, default=None),
        next_due=min(due, default=now + look_again),
    )
