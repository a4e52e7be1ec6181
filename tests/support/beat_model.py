"""A world of pinging runs under the real rules of the heartbeat service, with time that costs nothing.

The rules (`services.heartbeat.domain`) and the memories of two replicas are the real ones. Around them is what they
depend on, modelled: pings that each replica may miss by itself, the rows as `see.sql` writes them, the watch row as
`watch.sql` and `watched.sql` keep it, the sweep, and outages of everything of ours.
Time is in seconds, and passes in steps of one.
"""

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.heartbeat.domain.coverage import Coverage, Signs, obstacles
from services.heartbeat.domain.judgement import NotYet, SilentRun, Zombie, judge
from services.heartbeat.domain.last_heard import LastHeard, key_of, run_in, tenant_in
from services.heartbeat.domain.mass_silence import HeldGroups, Holds, RunCounts

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL, SILENCE, COARSE, LAPSE, STEP = 30, 120, 60, 20, 5
LATE = INTERVAL * 3 / 2
SWEEP, SWEEP_AFTER = 60, SILENCE + 60
MOST_LOST = 1  # pings in a row; an outage too short to be noticed swallows one more, a pause delays the third by 25 s
PAUSE = 25
REPLICAS = 2
WRITE_DEADLINE = 10  # of nats-server: whoever reads nothing for longer loses its connection
LEAST, SHARE = 25, 0.5  # of a mass silence
LARGE = ("large", "larger")
SMALL = "small"
SMALL_TENANTS = 20
"""Tenants that are small together; each of the two others has a third of all runs."""
OURS = (
    "broker",
    "database",
    "gateway",
    "service",
    "service paused",
    "connection",
    "replica",
    "replica paused",
    "deaf",
)
"""What may be away, of ours."""
TENANTS = (*LARGE, SMALL)
"""Whose way to us may be cut."""
RETRIES = 30  # Core's HTTP session tries six times, with pauses of 0 to 32 s; so a short outage delays its ping


@dataclass(slots=True)
class Run:
    """A run, as the world and the tables have it."""

    key: bytes
    group: str
    """Whose it is: a large tenant, or one of the small ones."""
    next_ping: float
    seen: float = 0.0
    newest: float = 0.0
    """Its last ping that some replica heard."""
    dies: float | None = None
    lost: int = 0
    announced: float | None = None


@dataclass(slots=True)
class Replica:
    """One process: what it remembers and knows of its own hearing."""

    memory: LastHeard = field(default_factory=LastHeard)
    coverage: Coverage = field(default_factory=Coverage)
    holds: Holds = field(default_factory=Holds)
    obstacles: list[str] = field(default_factory=list)
    connection: int = 0
    heard: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class Outcome:
    """What was announced, of whom."""

    run_minutes: float = 0
    false: int = 0
    missed: int = 0
    early: int = 0
    """Announced less than a silence after a ping of theirs that was heard."""
    found_after: list[tuple[str, float]] = field(default_factory=list)
    """Whose, and seconds from the last ping that was heard to the announcement."""
    held: Counter[str] = field(default_factory=Counter)
    """How often a look at silent runs held those of each group."""
    outages: int = 0


class World:
    """`runs` of them for `minutes`, with outages of what is in `away`."""

    def __init__(
        self, *, runs: int, minutes: int, seed: int, away: Sequence[str] = (*OURS, *TENANTS)
    ) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a world that can be replayed
        self._away = away
        self._end = minutes * 60
        self._runs = {run.key: run for run in (self._a_run(number) for number in range(runs))}
        self._guarded = Counter(key[:16] for key in self._runs)
        self._replicas = [Replica() for _ in range(REPLICAS)]
        self._pings = [(run.next_ping, run.key) for run in self._runs.values()]
        heapq.heapify(self._pings)
        self._down: dict[str, float] = {}  # who is away until when
        # Those that stop for a short time and keep their connection.
        self._stopped: set[str] = set()
        # Which replica hears nothing without noticing it, and until when.
        self._deaf: tuple[int, float] = (0, 0.0)
        # When the last outage ends, and when the next may begin.
        self._ends, self._calm_until = 0.0, 0.0
        self._watch: tuple[float, float] | None = None  # since, at
        self._gateway_heard = 0.0
        self.outcome = Outcome(run_minutes=runs * minutes)
        for replica in self._replicas:
            self._fill(replica, 0)

    def _a_run(self, number: int) -> Run:
        # A twentieth dies, in the middle of the story, so that each is to be found before its end.
        dies = self._chance.uniform(900, self._end - 2400) if self._chance.random() < 0.05 else None
        group = TENANTS[number % 3]
        tenant = number % 3 if group in LARGE else 3 + number // 3 % SMALL_TENANTS
        key = key_of(UUID(int=tenant), UUID(int=number))
        return Run(key=key, group=group, next_ping=self._chance.uniform(0, INTERVAL), dies=dies)

    def play(self) -> Outcome:
        """Let the time pass; what was announced."""
        for second in range(self._end):
            if self._away:
                self._outages(second)
            self._ping(second)
            for number, replica in enumerate(self._replicas):
                if not self._up("service", f"replica {number}"):
                    continue
                self._hear(replica, second + 1)
                if second % STEP == number:
                    self._confirm(replica, number, second)
                if self._up("database"):
                    self._judge_silent(replica, second)
                    if second % SWEEP == number:
                        self._sweep(replica, second)
        alive = [run for run in self._runs.values() if run.dies is None]
        dead = [run for run in self._runs.values() if run.dies is not None]
        self.outcome.false = sum(run.announced is not None for run in alive) + sum(
            run.announced is not None and run.announced < (run.dies or 0) for run in dead
        )
        self.outcome.missed = sum(run.announced is None for run in dead)
        return self.outcome

    def _up(self, *names: str) -> bool:
        return not any(name in self._down for name in names)

    # outages

    def _outages(self, now: int) -> None:
        self._come_back(now)
        # Who hears nothing and does not know it is covered by the other: two faults at once are one too many.
        if now % 60 or now > self._end - 2400 or now < max(self._deaf[1] + 60, self._calm_until):
            return
        if self._chance.random() > 0.1:
            return
        one = self._chance.randrange(REPLICAS)
        who = self._chance.choice(self._away)
        if who.partition(" ")[0] in {"connection", "replica", "deaf"}:
            thing, _, how = who.partition(" ")
            who = f"{thing} {one} {how}".rstrip()
        if who in TENANTS:
            self._cut_off(who, now)
            return
        until = now + self._chance.choice([1, 10, 60, 150, 600])
        self._ends = max(self._ends, until)
        if who.startswith("deaf"):
            if not self._down:
                self._deaf = (one, until)
                self.outcome.outages += 1
            return
        self.outcome.outages += 1
        name = who.removesuffix(" paused")
        self._down[name] = until
        self._stopped.discard(name)
        if who != name and until - now <= WRITE_DEADLINE:
            self._stopped.add(name)
        if who == "service":
            for replica in self._replicas:
                self._restart(replica, until)
        elif who == f"replica {one}":
            self._restart(self._replicas[one], until)

    def _come_back(self, now: int) -> None:
        for name in [name for name, until in self._down.items() if until <= now]:
            del self._down[name]
            if name == "broker" or name.startswith("connection"):
                for number, replica in enumerate(self._replicas):
                    replica.connection += name in {"broker", f"connection {number}"}

    def _cut_off(self, group: str, now: int) -> None:
        """Cut its way to us, when nothing of ours was away lately: for a ping, or for most of the time that it is held.

        Of what lies between, too short for a mass silence, a run that loses a ping, too, may miss four in a row.
        """
        if now < self._ends + 2 * SILENCE:
            return
        until = now + self._chance.choice([1, 10, SILENCE - STEP])
        self._down[group] = until
        self._ends, self._calm_until = until, until + 2 * SILENCE
        self.outcome.outages += 1

    def _restart(self, replica: Replica, now: float) -> None:
        replica.memory, replica.coverage, replica.holds = LastHeard(), Coverage(), Holds()
        replica.heard.clear()
        self._fill(replica, now)

    def _fill(self, replica: Replica, now: float) -> None:
        live = [run for run in self._runs.values() if run.announced is None]
        replica.memory.fill({run.key: run.seen for run in live}, now)

    # pings

    def _ping(self, second: int) -> None:
        pings, chance = self._pings, self._chance
        while pings[0][0] < second + 1:
            at, key = pings[0]
            run = self._runs[key]
            if run.dies is not None and run.dies <= at:
                heapq.heapreplace(pings, (float("inf"), key))
                continue
            way = ("gateway", "broker", run.group)
            back = max(self._down.get(name, 0) for name in way)
            if second < back <= at + RETRIES:
                heapq.heapreplace(pings, (max(back, at) + 0.001, key))
                continue
            if run.lost < MOST_LOST and chance.random() < 0.05:
                run.lost += 1
            elif self._up(*way):
                run.lost = 0
                self._arrive(run, at, second)
            pause = PAUSE if chance.random() < 0.02 else 0
            # An agent that watches the process may speak between two pings of its own.
            gap = chance.uniform(1, INTERVAL) if chance.random() < 0.1 else INTERVAL
            heapq.heapreplace(pings, (at + gap + pause, key))

    def _arrive(self, run: Run, at: float, second: int) -> None:
        hearing = [
            number
            for number in range(REPLICAS)
            if self._up(f"connection {number}") and not self._is_gone(number)
            # Of two that listen one may miss it and not notice.
            if not (number == self._deaf[0] and second < self._deaf[1])
        ]
        if len(hearing) == REPLICAS and self._chance.random() < 0.05:
            hearing.remove(self._chance.choice(hearing))
        for number in hearing:
            self._replicas[number].heard.add(run.key)
            run.newest = at

    def _is_gone(self, number: int) -> bool:
        """Whether what is sent to this replica is lost; the socket of one that is stopped for moments keeps it."""
        return bool({"service", f"replica {number}"} & (self._down.keys() - self._stopped))

    def _hear(self, replica: Replica, now: int) -> None:
        memory = replica.memory
        due, unknown = memory.hear(replica.heard, now, coarse=COARSE)
        replica.heard = set()
        if not self._up("database"):
            return
        self._write(memory, dict.fromkeys(due, float(now)), fresh=COARSE / 2)
        self._write(memory, memory.late(now - LATE), fresh=0)
        self._write(memory, dict.fromkeys(unknown, float(now)), fresh=COARSE / 2)
        memory.add({key: self._runs[key].seen for key in unknown}, now)

    def _write(self, memory: LastHeard, heard: dict[bytes, float], *, fresh: float) -> None:
        for key, at in heard.items():
            run = self._runs[key]
            if run.seen < at - fresh:
                run.seen = at
        memory.wrote({key: self._runs[key].seen for key in heard})

    # the watch

    def _confirm(self, replica: Replica, number: int, now: int) -> None:
        if self._up("gateway", "broker"):
            self._gateway_heard = now
        is_connected = self._up("broker", f"connection {number}")
        signs = Signs(
            is_on_the_bus=is_connected,
            is_listening=is_connected,
            keeps_up=True,
            gateway_silent_for=now - self._gateway_heard,
            needs_gateway=True,
        )
        replica.obstacles = obstacles(signs, lapse=LAPSE)
        if replica.obstacles or not self._up("database"):
            return
        since = now if self._watch is None or now - self._watch[1] > LAPSE else self._watch[0]
        self._watch = (since, now)
        replica.coverage = replica.coverage.confirm(now, lapse=LAPSE, connection=replica.connection)

    def _watched_for(self, now: int) -> float:
        if self._watch is None or now - self._watch[1] > LAPSE:
            return 0
        return now - self._watch[0]

    # judging

    def _judge_silent(self, replica: Replica, now: int) -> None:
        memory = replica.memory
        while memory.has_silent(now - SILENCE):
            covers = replica.coverage.spans(SILENCE, now=now, lapse=LAPSE)
            if replica.obstacles or not covers:
                return
            held = self._whose_are_held(replica, now)
            taken = memory.take_silent(now - SILENCE, limit=1000, held=held)
            if not taken:
                return
            for key in taken:
                self._judge(replica, key, now)

    def _judge(self, replica: Replica, key: bytes, now: int) -> None:
        run = self._runs[key]
        facts = SilentRun(
            flow_run_id=run_in(key),
            tenant_id=tenant_in(key),
            version=1,
            state="Running",
            enabled=True,
            guarded=True,
            seen=_moment(run.seen),
        )
        match judge(facts, now=_moment(now), silence=timedelta(seconds=SILENCE)):
            case Zombie():
                if run.announced is None:
                    self._announce(run, now)
                else:
                    replica.memory.look_again(key, now)
            case NotYet(rest=rest):
                replica.memory.look_again(key, now - SILENCE + rest.total_seconds())
            case _:
                raise AssertionError("every run here is live and guarded")

    def _sweep(self, replica: Replica, now: int) -> None:
        if replica.obstacles or self._watched_for(now) < SWEEP_AFTER:
            return
        for run in self._runs.values():
            heard = replica.memory.heard_at(run.key)
            is_heard = heard is not None and heard > now - SILENCE
            is_overdue = run.announced is None and now - run.seen >= SWEEP_AFTER
            if is_overdue and not is_heard and run.key not in self._whose_are_held(replica, now):
                self._announce(run, now)

    def _whose_are_held(self, replica: Replica, now: int) -> HeldGroups:
        crowd = RunCounts(
            guarded=self._guarded,
            known=replica.memory.by_tenant,
            silent=replica.memory.silent_by_tenant(now - LATE),
        )
        held = replica.holds.look(crowd, least=LEAST, share=SHARE, now=now, silence=SILENCE)
        for group in held.groups:
            self.outcome.held[LARGE[UUID(bytes=group).int] if group else SMALL] += 1
        return held

    def _announce(self, run: Run, now: int) -> None:
        if self._watch is None or now - self._watch[1] > LAPSE:
            return
        run.announced = now
        self._guarded[run.key[:16]] -= 1
        if now - run.newest < SILENCE - 1:
            self.outcome.early += 1
        if run.dies is not None:
            self.outcome.found_after.append((run.group, now - run.newest))


def _moment(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)
