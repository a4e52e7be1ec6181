"""When a run breaks an SLA. An attempt of a run begins with each Scheduled state, and breaks an SLA once."""

from enum import StrEnum

from libs.contracts.automations import SlaKind
from libs.contracts.states import SCHEDULED_FAMILY, is_finished

LONGEST = 365 * 86_400
"""Seconds of an SLA."""


class Verdict(StrEnum):
    """What becomes of a deadline that has passed."""

    BROKEN = "broken"
    MET = "met"


def verdict(kind: str, *, state: str, attempt: int, current_attempt: int) -> Verdict:
    """The verdict on a run in this state, which cannot move meanwhile. A run that was scheduled anew has another
    deadline."""
    if attempt != current_attempt:
        return Verdict.MET
    if kind == SlaKind.SCHEDULED_NOT_STARTED:
        return Verdict.BROKEN if state in SCHEDULED_FAMILY else Verdict.MET
    return Verdict.MET if is_finished(state) else Verdict.BROKEN


def fault_of_duration(seconds: int) -> str | None:
    """What is wrong with a duration, as a sentence, or None."""
    if not 1 <= seconds <= LONGEST:
        return f"duration_seconds must be from 1 to {LONGEST:,} (a year), not {seconds:,}"
    return None
