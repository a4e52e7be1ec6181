"""The instants of a schedule, shown before it is saved. Reads and writes nothing."""

import asyncio
from datetime import UTC, datetime

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.scheduler import Instant, Instants, PreviewSchedule
from services.scheduler.domain.schedules import BadScheduleError, parse


async def preview(asked: PreviewSchedule, *, now: datetime) -> Instants | Refused:
    """The next events; Refused(INVALID) with what is wrong with the schedule."""
    # Evaluating a schedule takes CPU, at worst a tenth of a second: not on the event loop.
    return await asyncio.to_thread(_events, asked, asked.after or now)


def _events(asked: PreviewSchedule, after: datetime) -> Instants | Refused:
    try:
        found = parse(asked.schedule).next(asked.count, after=after.astimezone(UTC))
    except BadScheduleError as error:
        return Refused(code=Code.INVALID, fields={"reason": f"schedule: {error}"})
    except (ValueError, OverflowError) as error:  # an adjustment beyond the calendar
        reason = f"schedule: it yields a time that no calendar has: {error}"
        return Refused(code=Code.INVALID, fields={"reason": reason})
    return Instants(
        instants=[
            Instant(
                start_time=event.start_time.astimezone(UTC),
                local=event.start_time.isoformat(),
                parameters=dict(event.parameters),
                labels=None if event.labels is None else list(event.labels),
            )
            for event in found
        ]
    )
