"""What becomes of a delivery after a try. Pure: chance is an argument between 0 and 1.

| answer | what is done |
|---|---|
| 2xx | delivered |
| 410 | the receiver wants no more: delivered never, and what sent it is switched off |
| other 4xx | refused for good; but 408, 409, 421, 423, 425 and 429 may pass later |
| 3xx | refused for good: redirects are not followed |
| 5xx, no connection, no answer in time | again, later each time, for a day |

A receiver that names a time (`Retry-After`) is asked again then, for a day, however often.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELAYS: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=24),
)
"""Waits after the first, second ... failed try. A receiver that is away for a day gets everything."""
PATIENCE = timedelta(hours=24)
"""How long a receiver may put us off with Retry-After; also the longest one that is obeyed."""
SPREAD = 0.2
"""Each wait is up to so much shorter or longer, so that a thousand deliveries do not come back at the same time."""

_LATER = frozenset({408, 409, 421, 423, 425, 429})
_GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one try. `status` is the receiver's (HTTP, or SMTP's); None when there was no answer.

    `error` is a sentence about a failure; `text` the first KiB of the answer; `for_good` says that a repetition would
    fail alike (a refused address, a missing secret). `parts` are (accepted, all) of a message to several people.
    """

    status: int | None = None
    text: str | None = None
    error: str | None = None
    retry_after: timedelta | None = None
    for_good: bool = False
    succeeded: bool = False
    not_wanted: bool = False
    """Whether it was not tried, because its action or cloud hook was deleted or switched off meanwhile."""
    unreachable: bool = False
    """Whether the receiver itself seems to be down: its circuit breaker counts these."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """It arrived."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try once more after this time."""

    after: timedelta
    hold: bool
    """Whether the receiver asked everybody to wait so long."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It will not arrive: kept as failed, for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """The receiver is gone for good (410)."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody wants it any more, so it is no fault that it is not sent."""


Verdict = Delivered | Again | GiveUp | SwitchOff | Drop


def verdict(answer: Answer, *, attempts: int, age: timedelta, chance: float) -> Verdict:
    """What to do after try number `attempts` of a delivery that is so old."""
    if answer.succeeded:
        return Delivered()
    if answer.not_wanted:
        return Drop()
    if answer.status == _GONE:
        return SwitchOff()
    if answer.for_good:
        return GiveUp(answer.error or "refused")
    if answer.retry_after is not None and age < PATIENCE:
        after = min(answer.retry_after, PATIENCE)
        # Only later, never sooner: the receiver has named the time.
        return Again(after * (1 + SPREAD * chance), hold=True)
    if attempts > len(DELAYS):
        return GiveUp(f"{answer.error or 'it failed'}; the last of {attempts} tries")
    delay = DELAYS[attempts - 1]
    return Again(delay * (1 - SPREAD + 2 * SPREAD * chance), hold=False)


def of_http(status: int, text: str, headers: Mapping[str, str], *, now: datetime) -> Answer:
    """The answer of an HTTP receiver. `headers` have lower-case names."""
    if 200 <= status < 300:
        return Answer(status=status, text=text, succeeded=True)
    if 300 <= status < 400:
        error = (
            f"the receiver answered {status}, a redirect, which is not followed: give the address"
            " that it leads to"
        )
        return Answer(status=status, text=text, error=error, for_good=True)
    return Answer(
        status=status,
        text=text,
        error=f"the receiver answered {status}",
        retry_after=retry_after(headers.get("retry-after"), now=now),
        for_good=400 <= status < 500 and status not in _LATER,
        unreachable=status >= 500,
    )


def retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """The header Retry-After: seconds, or a date. None when there is none, or what it says cannot be read."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10 * PATIENCE.total_seconds()))
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(date - now, timedelta(0))
