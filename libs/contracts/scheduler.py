"""The scheduler's verb: the instants of a schedule, saved or not."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from libs.contracts import subjects
from libs.contracts.base import JsonObject, Message, Rpc


class PreviewSchedule(Message):
    """Return the next `count` events of a serialized schedule after `after` (default: now). Refused: INVALID."""

    schedule: JsonObject
    count: int = Field(ge=1, le=100)
    after: datetime | None = None


class Instant(Message):
    """One run that the schedule would make. `local` is its time on the wall clock of its clock, with the offset."""

    start_time: datetime
    local: str
    parameters: JsonObject
    labels: list[str] | None = None


class Instants(Message):
    """Fewer than requested when the clocks end or the filters refuse nearly all."""

    kind: Literal["instants"] = "instants"
    instants: list[Instant]


PREVIEW_SCHEDULE = Rpc(subjects.PREVIEW_SCHEDULE, PreviewSchedule, Instants)
