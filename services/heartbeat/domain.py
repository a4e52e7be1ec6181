"""When a silent run is a zombie. Pure: facts and times are arguments."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.contracts.states import RUNNING_FAMILY, State

TOLERANCE = 10  # a sign of life may have been written a tenth of the silence after it was given


class Why(StrEnum):
    """Why a silence is not (yet) announced."""

    UNKNOWN = "unknown_run"
    NOT_RUNNING = "not_running"
    NOT_STARTED = "not_started"
    DISABLED = "heartbeat_disabled"
    UNGUARDED = "unguarded"
    ALIVE = "alive"
    DEAF = "deaf"
    MASS_SILENCE = "mass_silence"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentRun:
    """A run of which nothing was heard, as the tables have it.

    `guarded`: its Running state found heartbeats enabled. `seen`: its newest sign of life, a ping or a state.
    """

    flow_run_id: UUID
    tenant_id: UUID
    version: int
    state: str
    enabled: bool
    guarded: bool
    seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Since when pings are heard without a gap, and whether most runs ping. `since` None: we are deaf now."""

    since: datetime | None
    mass_silence: bool = False

    def is_too_short(self, *, now: datetime, silence: timedelta) -> bool:
        """Whether nobody was listened to for a whole silence."""
        return self.since is None or now - self.since < silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Zombie:
    """Announce it."""

    last_seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmAgain:
    """Not now: ask again after `after`."""

    after: timedelta
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Nothing to do, now or later."""

    why: Why


Judgement = Zombie | ArmAgain | Drop


def judge(run: SilentRun, *, now: datetime, silence: timedelta, hearing: Hearing) -> Judgement:
    """A guarded, running, enabled run that was silent for `silence`, while we listened, is a zombie."""
    if run.state == State.SUBMITTED:
        return Drop(why=Why.NOT_STARTED)
    if run.state not in RUNNING_FAMILY:
        return Drop(why=Why.NOT_RUNNING)
    if not run.enabled:
        return Drop(why=Why.DISABLED)
    if not run.guarded:
        return Drop(why=Why.UNGUARDED)
    silent_for = now - run.seen
    if silent_for < silence - silence / TOLERANCE:
        return ArmAgain(after=silence - silent_for, why=Why.ALIVE)
    if hearing.is_too_short(now=now, silence=silence):
        return ArmAgain(after=silence, why=Why.DEAF)
    if hearing.mass_silence:
        return ArmAgain(after=silence, why=Why.MASS_SILENCE)
    return Zombie(last_seen=run.seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """The newest ping of a run that the broker holds: when its sender says it was sent, and its place in the stream."""

    sent: datetime
    sequence: int


def is_still_silent(sent: datetime, newest: Ping | None) -> bool:
    """Whether no other ping came since the one `sent` then. `newest`: what the broker holds, if anything.

    Another, not a later one: senders' clocks differ, and an agent whose clock is behind may watch the process.
    """
    return newest is None or newest.sent == sent


def is_still_unheard(newest: Ping, *, sequence: int, since: datetime) -> bool:
    """Whether the broker, too, holds no newer ping of a run that our ear missed for the silence.

    `sequence`: the stream's last one when the silence began, or up to an interval later. A ping behind it was heard by
    another replica; so was one that was sent after `since`, when the silence began: of two that came close together
    (the run's process and an agent that watches it both speak) we may have heard the first alone. A sender whose clock
    is ahead thereby leaves its run to the broker's switch.
    """
    return newest.sequence <= sequence and newest.sent <= since


@dataclass(frozen=True, slots=True, kw_only=True)
class Chorus:
    """How many runs are guarded, and how many pings came within the last interval."""

    guarded: int
    pings: int

    def is_silent(self, *, least: int, share: float) -> bool:
        """Too few of many ping: the fault is likely between them and us."""
        return self.guarded >= least and self.pings < share * self.guarded
