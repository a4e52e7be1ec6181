"""Whatever happens, in whatever order: after quiescence the planned runs are those that are ahead.

Hypothesis tells stories of registrations, edits, deletions, lost, late and repeated messages. The proposals are the
real ones; the registry, the ledger and what the SQL of both services asks are a model of some lines each. What is
expected is counted here on whole hours, not by the code under test. The SQL itself is tested against real engines in
tests/integration/scheduler/test_ahead.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from services.scheduler.domain.proposals import Key, Proposal, propose, upcoming
from services.scheduler.domain.schedules import Schedule, parse, run_hash

DAWN = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = timedelta(seconds=30)
AHEAD = 3
CLOCKS: dict[str, tuple[int, dict[str, Any]]] = {
    "hourly": (1, {}),
    "hourly for x": (1, {"needed": "x"}),
    "every other hour": (2, {"needed": "y"}),
    "every third hour": (3, {}),
}
"""Hours between the instants of a clock, and its parameters."""


@dataclass
class Run:
    """A row of the ledger. `touched`: begun, cancelled, renamed or moved, and no longer planned."""

    inputs: dict[str, Any]
    touched: bool = False


@dataclass
class Row:
    """A row of the scheduler; `seen` is the schedule it follows."""

    seen: tuple[str, ...]
    inputs: tuple[Any, ...]
    said: dict[Key, datetime]
    next_due: datetime
    cleared: datetime | None = None


@dataclass
class Version:
    """One flow version, with its runs."""

    clocks: tuple[str, ...]
    active: bool = True
    archived: bool = False
    runs: dict[Key, Run] = field(default_factory=dict)
    deleted: set[Key] = field(default_factory=set)
    row: Row | None = None
    paused: datetime | None = None
    """When the ledger was last told that it is not followed."""

    @property
    def followed(self) -> bool:
        return self.active and not self.archived


@dataclass(frozen=True)
class Message:
    """What the scheduler said: a proposal, of a version, for the schedule that it saw (None: not followed)."""

    version: int
    seen: tuple[str, ...] | None
    proposal: Proposal
    at: datetime


class Ahead(RuleBasedStateMachine):
    """One flow group."""

    @initialize(clocks=st.sets(st.sampled_from(sorted(CLOCKS)), min_size=1))
    def begin(self, clocks: set[str]) -> None:
        self.now = DAWN + timedelta(minutes=20)
        self.default: str | None = "a default"
        self.versions = [Version(tuple(sorted(clocks)))]
        self.queue: list[Message] = []

    # people

    @rule(clocks=st.sets(st.sampled_from(sorted(CLOCKS)), min_size=1))
    def registers(self, clocks: set[str]) -> None:
        if len(self.versions) < 4:
            for version in self.versions:
                version.archived = True
            self.versions.append(Version(tuple(sorted(clocks))))

    @rule(data=st.data(), clocks=st.sets(st.sampled_from(sorted(CLOCKS)), min_size=1))
    def changes_the_schedule(self, data: st.DataObject, clocks: set[str]) -> None:
        data.draw(st.sampled_from(self.versions)).clocks = tuple(sorted(clocks))

    @rule(data=st.data())
    def pauses_or_resumes(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(self.versions))
        version.active = not version.active

    @rule(data=st.data())
    def archives_or_unarchives(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(self.versions))
        version.archived = not version.archived

    @rule(default=st.sampled_from([None, "a default", "another"]))
    def sets_the_groups_default(self, default: str | None) -> None:
        self.default = default

    @rule(data=st.data())
    def deletes_one_run(self, data: st.DataObject) -> None:
        if planned := list(self.all_planned()):
            version, key = data.draw(st.sampled_from(planned))
            del version.runs[key]
            version.deleted.add(key)

    @rule(data=st.data())
    def touches_one_run(self, data: st.DataObject) -> None:
        if planned := list(self.all_planned()):
            version, key = data.draw(st.sampled_from(planned))
            version.runs[key].touched = True

    # accidents

    @rule(data=st.data())
    def rows_vanish(self, data: st.DataObject) -> None:
        if planned := list(self.all_planned()):
            for place in data.draw(st.sets(st.integers(0, len(planned) - 1), min_size=1)):
                version, key = planned[place]
                del version.runs[key]

    @precondition(lambda self: self.queue)
    @rule()
    def messages_are_lost(self) -> None:
        self.queue.clear()

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def some_message_is_delivered_and_stays_to_come_again(self, data: st.DataObject) -> None:
        self.deliver(data.draw(st.sampled_from(self.queue)))

    # the services

    @rule()
    def messages_are_delivered(self) -> None:
        for message in self.queue:
            self.deliver(message)
        self.queue.clear()

    @rule(minutes=st.integers(1, 200))
    def time_passes(self, minutes: int) -> None:
        """Agents take what is due; of an archived version nothing is handed out."""
        self.now += timedelta(minutes=minutes)
        for version in self.versions:
            for key, run in version.runs.items():
                if key[0] <= self.now and not version.archived:
                    run.touched = True

    @rule()
    def the_scheduler_ticks(self) -> None:
        for place, version in enumerate(self.versions):
            row = version.row
            if not version.followed:
                again = version.paused is not None and version.paused <= self.now - PATIENCE
                if row is not None or (again and self.has_planned(version)):
                    self.say(place, None, Proposal(create=(), keep=(), said={}))
                    version.row, version.paused = None, self.now
            elif row is None or (row.seen, row.inputs) != (version.clocks, (self.default,)):
                self.look(place, changed=row is None or row.seen != version.clocks, again=True)
            elif row.next_due <= self.now:
                self.look(place, changed=False, again=False)

    @rule()
    def the_scheduler_compares(self) -> None:
        for place in self.different():
            self.look(place, changed=True, again=True)

    @rule()
    def all_is_quiet(self) -> None:
        self.the_scheduler_ticks()
        self.messages_are_delivered()
        self.the_ledger_sweeps()
        self.now += PATIENCE + timedelta(seconds=1)
        self.time_passes(0)
        self.the_scheduler_ticks()
        self.messages_are_delivered()
        self.the_scheduler_compares()
        self.messages_are_delivered()

        assert self.different() == []
        for version in self.versions:
            found = {
                k: r.inputs for k, r in version.runs.items() if not r.touched and self.ahead(k)
            }
            assert found == self.expected(version)

    # the model

    def has_planned(self, version: Version) -> bool:
        return any(not run.touched and self.ahead(key) for key, run in version.runs.items())

    def all_planned(self) -> Iterator[tuple[Version, Key]]:
        for version in self.versions:
            for key, run in version.runs.items():
                if not run.touched and self.ahead(key):
                    yield version, key

    def ahead(self, key: Key) -> bool:
        return key[0] > self.now

    def inputs(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return ({} if self.default is None else {"needed": self.default}) | parameters

    def expected(self, version: Version) -> dict[Key, dict[str, Any]]:
        if not version.followed:
            return {}
        hour = (self.now - DAWN) // timedelta(hours=1) + 1
        steps = [CLOCKS[name] for name in version.clocks]
        found: dict[Key, dict[str, Any]] = {}
        instants = 0
        while instants < AHEAD:
            meets = [parameters for every, parameters in steps if hour % every == 0]
            instants += bool(meets)
            for parameters in meets:
                key = (DAWN + timedelta(hours=hour), run_hash(parameters, None))
                run = version.runs.get(key)
                # What an archived version has begun, or had deleted, bars what is to be made, and takes nothing away.
                made = not run.touched if run is not None else not self.bars(version, key)
                if made and "needed" in self.inputs(parameters):
                    found[key] = self.inputs(parameters)
            hour += 1
        return found

    def bars(self, version: Version, key: Key) -> bool:
        """As barred_instants.sql and find_different.sql."""
        others = [o for o in self.versions if o is not version and o.archived]
        return (
            key in version.deleted
            or any(key in o.deleted for o in others)
            or any(key in o.runs and o.runs[key].touched for o in others)
        )

    def look(self, place: int, *, changed: bool, again: bool) -> None:
        version = self.versions[place]
        coming = upcoming(
            a_schedule(version.clocks),
            required=frozenset(() if self.default is not None else ("needed",)),
            now=self.now,
            ahead=AHEAD,
            look_again=timedelta(minutes=15),
        )
        said = {} if version.row is None else version.row.said
        proposal = propose(coming, said, changed=changed, again=again, now=self.now)
        cleared = None if version.row is None else version.row.cleared
        version.row = Row(
            seen=version.clocks,
            inputs=(self.default,),
            said=dict(proposal.said),
            next_due=coming.next_due,
            cleared=cleared if proposal.keep is None else self.now,
        )
        self.say(place, version.clocks, proposal)

    def say(self, place: int, seen: tuple[str, ...] | None, proposal: Proposal) -> None:
        if proposal.create or proposal.keep is not None:
            self.queue.append(Message(place, seen, proposal, self.now))

    def different(self) -> list[int]:
        """As find_different.sql."""
        found = []
        for place, version in enumerate(self.versions):
            row = version.row
            if row is None:
                continue
            long_ago = self.now - PATIENCE
            missing = any(
                at < long_ago
                and self.ahead(k)
                and k not in version.runs
                and not self.bars(version, k)
                for k, at in row.said.items()
            )
            stray = (row.cleared is None or row.cleared < long_ago) and any(
                self.ahead(k) and not run.touched and k not in row.said
                for k, run in version.runs.items()
            )
            if missing or stray:
                found.append(place)
        return found

    def deliver(self, message: Message) -> None:
        """As planned.py and creations.py: clear, make, follow; nothing for a schedule that is another one by now."""
        version = self.versions[message.version]
        if message.seen != (version.clocks if version.followed else None):
            return
        if (keep := message.proposal.keep) is not None:
            after = message.at if message.seen is not None else DAWN
            version.runs = {
                k: run
                for k, run in version.runs.items()
                if run.touched or k in keep or k[0] <= after
            }
        self.make_room(version)
        for instant in message.proposal.create:
            inputs = self.inputs(instant.parameters)
            key = (instant.start_time, instant.schedule_hash)
            if not self.ahead(key) or "needed" not in inputs:
                continue
            if key not in version.runs and not self.bars(version, key):
                version.runs[key] = Run(inputs)
            elif key in version.runs and not version.runs[key].touched:
                version.runs[key].inputs = inputs

    def make_room(self, version: Version) -> None:
        for other in self.versions:
            if other is not version and other.archived:
                other.runs = {k: run for k, run in other.runs.items() if run.touched}

    def the_ledger_sweeps(self) -> None:
        for version in self.versions:
            if version.archived:
                version.runs = {k: run for k, run in version.runs.items() if run.touched}


@cache
def a_schedule(clocks: tuple[str, ...]) -> Schedule:
    return parse({"clocks": [a_clock(name) for name in clocks]})


def a_clock(name: str) -> dict[str, Any]:
    every, parameters = CLOCKS[name]
    return {
        "type": "IntervalClock",
        "interval": every * 3_600_000_000,
        "start_date": {"dt": "2026-01-01T00:00:00", "tz": "UTC"},
        "parameter_defaults": parameters,
    }


TestAhead = Ahead.TestCase
TestAhead.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
