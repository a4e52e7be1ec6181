"""The meaning of a run's silence. Pure: facts and times are arguments.

Used only for a time that `coverage` spans, and runs that this process did not hear for the silence.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.contracts.states import RUNNING_FAMILY, State

TOLERANCE = 100
"""A row's time may be later than our memory's by a hundredth of the silence."""


class Why(StrEnum):
    """Why a silence is not (yet) announced."""

    UNKNOWN = "unknown_run"
    NOT_RUNNING = "not_running"
    NOT_STARTED = "not_started"
    DISABLED = "heartbeat_disabled"
    UNGUARDED = "unguarded"
    ALIVE = "alive"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentRun:
    """A silent run, as it is in the tables.

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
class Zombie:
    """Announce it."""

    last_seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Another replica heard it: its silence is complete after `rest`, unless it is heard again."""

    rest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Nothing to do, now or later."""

    why: Why


Judgement = Zombie | NotYet | Drop


def judge(run: SilentRun, *, now: datetime, silence: timedelta) -> Judgement:
    """A guarded, running, enabled run is a zombie if its row, too, is as old as the silence.

    The row of a run that pings to some replica is younger than the silence. Once it stops, its row has the time of its
    last ping to the second (`LastHeard.late`), including pings that only another replica heard.
    """
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
        return NotYet(rest=silence - silent_for)
    return Zombie(last_seen=run.seen)


def is_mass_silence(*, guarded: int, silent: int, known: int, least: int, share: float) -> bool:
    """Whether so few of many runs ping that the fault is likely between them and us.

    `guarded`: live runs that must ping, by the tables. `known`: those in this process's memory. `silent`: those of them
    that missed a ping.
    """
    return guarded >= least and known - silent < share * guarded


_AT_MOST = 3.0
"""Silences for which a group that goes and comes is held together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Silences of a group are held once, not for ever: what is silent for another whole period is what it seems.

    When most of the group are heard again the others have one silence more: pings come an interval apart, and some get
    lost. `begun`: when the group fell silent first; `since`: when it did again, after it was heard; `last`: the last
    look at which it was silent.
    """

    begun: float | None = None
    since: float = 0.0
    last: float = 0.0
    is_over: bool = False

    def look(self, *, is_mass: bool, now: float, silence: float) -> "Hold":
        """The hold after a look at how many are silent."""
        # Nobody looks while nobody is silent, so what was seen long ago says nothing of today.
        if self.begun is None or now - self.last >= silence:
            return Hold(begun=now, since=now, last=now) if is_mass else Hold()
        if not is_mass:
            return replace(self, is_over=True)
        return Hold(begun=self.begun, since=now if self.is_over else self.since, last=now)

    def holds(self, *, now: float, silence: float) -> bool:
        """Whether nobody is judged now, at the moment of the last look."""
        if self.begun is None or now - self.begun >= _AT_MOST * silence:
            return False
        held_for = (self.last if self.is_over else now) - self.since
        return held_for < silence
