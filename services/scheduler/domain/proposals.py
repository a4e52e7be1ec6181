"""The proposals to `runs` for one flow: the instants to make, the runs to clear, and the time of the next look.

**Planned runs.** The next `ahead` instants of the schedule, each complete: one run for each clock of an instant, none
for a clock that leaves a required parameter without a value. A run is identified by its key: (flow version, UTC
instant, hash of the clock's parameters and labels).

**Made again.** Every planned run that is missing in the ledger for any of these reasons: a lost message, a pause, an
archiving, another schedule and back, a row deleted in the database. These remove runs in bulk, and concern the
schedule, not the instant.

**Not made again.** A run that a person deleted by its id (`delete_flow_run`, one call for each run) leaves a tombstone
for its key, and is not made again: not by resuming or changing the schedule, and not for a version that replaces this
one. One exception: if *all* planned runs of an active schedule were deleted, and the schedule is switched on again,
they are made again (`ForgetDeleted`), because an active schedule without runs is never intended. An instant of a
replaced version is not made again either if its run had been given to an agent, or changed by a person. A run that was
cancelled or moved still exists under its key, so it is not made twice.

**Updated.** A planned run that no person has changed gets the current inputs (defaults, labels and run config of the
flow's group). One that was renamed, relabelled, given to an agent or given a state stays as it is.

Runs that are due already are not planned runs: a changed schedule keeps them, a pause and an archiving remove them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from libs.contracts.runs import ScheduledInstant
from services.scheduler.domain.schedules import Schedule, run_hash

Key = tuple[datetime, str]
"""An instant in UTC, and the hash of its clock's parameters and labels; of one flow version."""

UNREADABLE = "schedule_unreadable"
"""The start of the reason when a schedule cannot be parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """The next runs of a schedule, by key. `next_due`: the time of the next evaluation.

    `reason` says why instants of the schedule are missing: a required parameter has no value, or it cannot be parsed.
    """

    instants: Mapping[Key, ScheduledInstant]
    next_due: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The proposals to `runs`, and the new contents of the row. `keep` None: nothing needs to be cleared.

    `said` are the planned keys, each with the time of its last proposal: the ledger should have it shortly after.
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
    """The next `ahead` instants, never in the past; evaluated again when the first of them has passed.

    `required` are the parameters that each clock must give, because neither the flow nor its group has a value for
    them. A schedule that yields fewer instants may have ended, or its filters may have hidden later ones (Core checks a
    bounded number of events per question), so it is evaluated again after `look_again`.
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
    """The keys that are new since `said`; all keys if the ledger may differ (`again`).

    Runs are cleared when the schedule has changed, or no longer yields keys of `said`.
    """
    gone = any(start > now and (start, digest) not in coming.instants for start, digest in said)
    return Proposal(
        create=tuple(
            instant for key, instant in coming.instants.items() if again or key not in said
        ),
        keep=tuple(coming.instants) if changed or gone else None,
        said={key: now if again else said.get(key, now) for key in coming.instants},
    )
