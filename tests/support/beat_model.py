"""A world of pinging runs under the real rule of the heartbeat service, with time that costs nothing.

The rule (`services.heartbeat.domain`) and the rolls of two replicas' ears are the real ones. Around them is what they
depend on, modelled: the broker's switches (a ping replaces the one before; what is silent for the whole silence fires;
kill -9 arms them anew or loses those that are overdue), its newest ping of each run, last-seen at its coarse interval,
the watch row as `watch.sql` and `hearing.sql` keep it, the sweep.
Time is in seconds, and passes in steps of one.
"""

import heapq
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.heartbeat.domain import (
    ArmAgain,
    Chorus,
    Hearing,
    Ping,
    SilentRun,
    Zombie,
    is_still_unheard,
    judge,
)
from services.heartbeat.roll import Roll

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY = UUID(int=0)
INTERVAL, SILENCE, COARSE, LAPSE, STEP = 30, 120, 60, 20, 5
SWEEP, SWEEP_AFTER = 60, SILENCE + COARSE + INTERVAL + 60
MOST_LOST = 1  # pings in a row; an outage too short to be noticed swallows one more, a pause delays the third by 25 s
PAUSE = 25
EARS = 2
RETRIES = 30  # Core's HTTP session tries six times, with pauses of 0 to 32 s; so a short outage delays its ping


@dataclass(slots=True)
class Run:
    """A run, as the world and the tables have it."""

    name: UUID
    next_ping: float
    seen: float
    newest: Ping | None = None
    dies: float | None = None
    lost: int = 0
    announced: float | None = None


@dataclass(slots=True)
class Outcome:
    """What was announced, of whom."""

    run_minutes: float = 0
    false: int = 0
    missed: int = 0
    early: int = 0
    """Announced less than a silence after a ping of theirs."""
    found_after: list[float] = field(default_factory=list)
    held: int = 0
    outages: int = 0


class World:
    """`runs` of them for `minutes`, with outages of everything of ours."""

    def __init__(self, *, runs: int, minutes: int, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a world that can be replayed
        self._end = minutes * 60
        self._runs = [self._a_run(number) for number in range(runs)]
        self._ears = [Roll() for _ in range(EARS)]
        self._stored = 0
        self._looks: list[tuple[int, int]] = []  # when, and the stream's last sequence
        self._pings = [(run.next_ping, n) for n, run in enumerate(self._runs)]
        heapq.heapify(self._pings)
        self._fires: dict[int, float] = {}  # run to when its switch fires
        self._due: dict[int, set[int]] = defaultdict(set)  # second to runs
        self._looked = 0
        self._down: dict[str, float] = {}  # who is away until when
        self._watch: tuple[float, float] | None = None  # since, at
        self._gateway_heard = 0.0
        self._heard: list[float] = []
        self.outcome = Outcome(run_minutes=runs * minutes)

    def _a_run(self, number: int) -> Run:
        # A twentieth dies, in the middle of the story, so that each is to be found before its end.
        dies = self._chance.uniform(900, self._end - 2400) if self._chance.random() < 0.05 else None
        return Run(
            name=UUID(int=number), next_ping=self._chance.uniform(0, INTERVAL), seen=0.0, dies=dies
        )

    def play(self) -> Outcome:
        """Let the time pass; what was announced."""
        for second in range(self._end):
            self._outages(second)
            self._ping(second)
            if second % STEP == 0:
                self._confirm(second)
            self._call_the_rolls(second)
            self._fire(second)
            if second % SWEEP == 0 and self._up("broker", "database", "service"):
                self._sweep(second)
        alive = [run for run in self._runs if run.dies is None]
        dead = [run for run in self._runs if run.dies is not None]
        self.outcome.false = sum(run.announced is not None for run in alive) + sum(
            run.announced is not None and run.announced < (run.dies or 0) for run in dead
        )
        self.outcome.missed = sum(run.announced is None for run in dead)
        return self.outcome

    def _up(self, *names: str) -> bool:
        return not any(name in self._down for name in names)

    def _outages(self, now: int) -> None:
        for name in [name for name, until in self._down.items() if until <= now]:
            del self._down[name]
        if now % 60 or now > self._end - 2400 or self._chance.random() > 0.1:
            return
        who = self._chance.choice(
            ["broker", "broker paused", "database", "service", "service paused", "ear 0", "gateway"]
        )
        self.outcome.outages += 1
        away = who if who.startswith("ear") else who.split()[0]
        self._down[away] = now + self._chance.choice([1, 10, 60, 150, 600])
        if who == "service":
            self._ears = [Roll() for _ in range(EARS)]
        if who == "broker":  # kill -9: overdue switches are lost, the others re-arm in full
            until = self._down["broker"]
            for run, fires in list(self._fires.items()):
                self._disarm(run)
                if fires > until:
                    self._arm(run, until)

    def _arm(self, run: int, now: float, after: float = SILENCE) -> None:
        self._disarm(run)
        self._fires[run] = now + after
        self._due[int(now + after)].add(run)

    def _disarm(self, run: int) -> None:
        fires = self._fires.pop(run, None)
        if fires is not None:
            self._due.get(int(fires), set()).discard(run)

    def _ping(self, second: int) -> None:
        pings, chance = self._pings, self._chance
        while pings[0][0] < second + 1:
            at, number = pings[0]
            run = self._runs[number]
            if run.dies is not None and run.dies <= at:
                heapq.heapreplace(pings, (float("inf"), number))
                continue
            back = max(self._down.get("gateway", 0), self._down.get("broker", 0))
            if second < back <= at + RETRIES:
                heapq.heapreplace(pings, (max(back, at) + 0.001, number))
                continue
            if run.lost < MOST_LOST and chance.random() < 0.05:
                run.lost += 1
            elif self._up("gateway", "broker"):
                run.lost = 0
                self._arm(number, at)
                if chance.random() < 0.05:
                    self._arm(number, at)  # delivered twice
                self._heard.append(at)
                self._stored += 1
                run.newest = Ping(sent=_moment(at), sequence=self._stored)
                ear = chance.randrange(EARS)
                # What one replica was sent while it is stopped, only the broker knows of.
                if self._up("service", f"ear {ear}"):
                    self._ears[ear].hear(_speaks(run), second + 1)
                    if self._up("database") and at - run.seen > COARSE:
                        run.seen = at
            pause = PAUSE if chance.random() < 0.02 else 0
            # An agent that watches the process may speak between two pings of its own.
            gap = chance.uniform(1, INTERVAL) if chance.random() < 0.1 else INTERVAL
            heapq.heapreplace(pings, (at + gap + pause, number))

    def _confirm(self, now: int) -> None:
        if self._up("gateway", "broker"):
            self._gateway_heard = now
        if not self._up("service", "broker", "database") or self._is_deaf(now):
            return
        since = now if self._watch is None or now - self._watch[1] > LAPSE else self._watch[0]
        self._watch = (since, now)

    def _is_deaf(self, now: int) -> bool:
        return now - self._gateway_heard > LAPSE

    def _hearing(self, now: int) -> Hearing:
        if self._watch is None or now - self._watch[1] > LAPSE or self._is_deaf(now):
            return Hearing(since=None)
        self._heard = [at for at in self._heard if at > now - INTERVAL]
        guarded = sum(run.announced is None for run in self._runs)
        chorus = Chorus(guarded=guarded, pings=len(self._heard))
        silent = chorus.is_silent(least=25, share=0.5)
        return Hearing(since=_moment(self._watch[0]), mass_silence=silent)

    def _call_the_rolls(self, now: int) -> None:
        if not self._up("broker", "service", "database"):
            return
        if now % STEP == 0:
            self._looks = [*self._looks[-2 * SILENCE // STEP :], (now, self._stored)]
        horizon = now - SILENCE + INTERVAL * 3 / 4
        place = next((place for at, place in reversed(self._looks) if at <= horizon), 0)
        for number, ear in enumerate(self._ears):
            if not self._up(f"ear {number}"):
                continue
            silent = ear.take_silent(now - SILENCE, limit=len(self._runs))
            if not silent:
                continue
            hearing = self._hearing(now)
            since = _moment(now - SILENCE)
            for name in silent:
                run = self._runs[name.int]
                unheard = run.newest is not None and is_still_unheard(
                    run.newest, sequence=place, since=since
                )
                if unheard and not ear.was_heard(name, NOBODY, after=now - SILENCE):
                    self._judge(name.int, now, SILENCE, hearing, by_the_broker=False)

    def _fire(self, now: int) -> None:
        if not self._up("broker", "service", "database"):
            return  # silences wait in the stream
        due = range(self._looked, now)
        self._looked = now
        silent = sorted(run for second in due for run in self._due.pop(second, ()))
        if silent:
            hearing = self._hearing(now)
            for run in silent:
                del self._fires[run]
                self._judge(run, now, SILENCE, hearing)

    def _sweep(self, now: int) -> None:
        overdue = [
            number
            for number, run in enumerate(self._runs)
            if run.announced is None and now - run.seen >= SWEEP_AFTER and number not in self._fires
        ]
        if overdue:
            hearing = self._hearing(now)
            for number in overdue:
                self._judge(number, now, SWEEP_AFTER, hearing)

    def _judge(
        self, number: int, now: int, silence: int, hearing: Hearing, *, by_the_broker: bool = True
    ) -> None:
        run = self._runs[number]
        if run.announced is not None:
            return
        facts = SilentRun(
            flow_run_id=NOBODY,
            tenant_id=NOBODY,
            version=1,
            state="Running",
            enabled=True,
            guarded=True,
            seen=_moment(run.seen),
        )
        match judge(facts, now=_moment(now), silence=timedelta(seconds=silence), hearing=hearing):
            case Zombie():
                run.announced = now
                if run.newest is not None and _moment(now - SILENCE) < run.newest.sent:
                    self.outcome.early += 1
                if run.dies is not None:
                    self.outcome.found_after.append(now - run.dies)
            case ArmAgain() if not by_the_broker:
                pass  # its switch is armed
            case ArmAgain(after=after):
                self.outcome.held += 1
                self._arm(number, now, after.total_seconds())
            case _:
                raise AssertionError("every run here is live and guarded")


def _moment(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def _speaks(run: Run) -> dict[bytes, bytes]:
    return {str(run.name).encode(): str(NOBODY).encode()}
