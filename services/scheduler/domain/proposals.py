"""What `runs` is asked about one flow: which instants to make, which runs to clear, when to look again.

**What is ahead.** The next `ahead` instants of the schedule, each whole: one run for each clock of an instant, none for
a clock that leaves a required parameter without a value. A run is known by its key: (flow version, UTC instant, hash of
the clock's parameters and labels).

**What is made again.** Whatever is ahead and not in the ledger, however it went: a message that was lost, a pause, an
archiving, another schedule and back, a row that somebody deleted in the database. Those remove runs in bulk, and mean
the schedule, not the instant.

**What stays away.** A run that a person deleted by its id (`delete_flow_run`, one call for each run) leaves a tombstone
for its key, and is not made again: not by resuming or changing the schedule, and not for a version that replaces this
one. One exception: where *all* that was ahead of an active schedule has been deleted, and somebody switches it on once
more, it is made again (`ForgetDeleted`), since an active schedule without runs is what nobody means.
Nor is an instant of a replaced version made whose run had been handed out, or that a person had already taken in hand.
A run that was cancelled or moved is still there under its key, so it is not made twice either.

**What follows.** A planned run that nobody has touched takes over what its inputs are now (defaults, labels and run
config of the flow's group). One that was renamed, relabelled, handed out or given a state stays as it is.

What is due already is nobody's future: a changed schedule leaves it, a pause and an archiving take it away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from libs.contracts.runs import ScheduledInstant
from services.scheduler.domain.schedules import Schedule, run_hash

Key = tuple[datetime, str]
"""An instant in UTC, and the hash of its clock's parameters and labels; of one flow version."""

UNREADABLE = "schedule_unreadable"
"""How the reason begins where a schedule cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """What a schedule yields next, by key. `next_due`: when to ask again.

    `reason` says why instants are missing that the schedule has: a required parameter is, or it cannot be read.
    """

    instants: Mapping[Key, ScheduledInstant]
    next_due: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What to say to `runs`, and what the row remembers. `keep` None: nothing needs to be cleared.

    `said` are the keys ahead, each with when it was said last: the ledger should have it a little later.
    """

    create: tuple[ScheduledInstant, ...]
    keep: tuple[Key, ...] | None
    said: Mapping[Key, datetime]


def upcoming(
    schedule: Schedule,
    *,
    required: frozenset[str],
    now: datetime,
    ahead: int,
    look_again: timedelta,
) -> Upcoming:
    """The next `ahead` instants, never in the past; look again when the first of them has passed.

    `required` are the parameters that each clock must give, as neither the flow nor its group has a value for them.
    A schedule that yields fewer instants may have ended, or its filters may have hidden what comes (Core looks at a
    bounded number of events per question), so it is looked at again after `look_again`.
    """
    events, complete = schedule.next_instants(ahead, after=now)
    instants: dict[Key, ScheduledInstant] = {}
    missing: set[str] = set()
    starts: list[datetime] = [] if complete else [now + look_again]
    for event in events:
        start = event.start_time.astimezone(UTC)
        starts.append(start)
        if not required <= event.parameters.keys():
            missing |= required - event.parameters.keys()
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
    return Upcoming(
        instants=instants,
        next_due=min(starts),
        reason=f"parameters_missing: {', '.join(sorted(missing))}" if missing else None,
    )


def propose(
    coming: Upcoming, said: Mapping[Key, datetime], *, changed: bool, again: bool, now: datetime
) -> Proposal:
    """What is new since `said`; all of it where the ledger is in doubt (`again`).

    Runs are cleared when the schedule has changed, or no longer yields what had been said.
    """
    gone = any(start > now and (start, digest) not in coming.instants for start, digest in said)
    return Proposal(
        create=tuple(
            instant for key, instant in coming.instants.items() if again or key not in said
        ),
        keep=tuple(coming.instants) if changed or gone else None,
        said={key: now if again else said.get(key, now) for key in coming.instants},
    )
