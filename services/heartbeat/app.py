"""The heartbeat service's shell: note pings, judge silences, watch our own hearing."""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from pydantic import ValidationError

from libs.contracts import streams, subjects
from libs.contracts.heartbeat import (
    REARMED_HEADER,
    SCHEDULER_HEADER,
    TTL_HEADER,
    FlowRunZombieDetected,
    Silence,
    beat_message,
    disarm_message,
)
from libs.contracts.runs import FlowRunStateChanged
from libs.contracts.states import State, is_finished
from libs.runtime import faults, metrics, outbox
from libs.runtime.clock import Clock, utc_now
from libs.runtime.failures import is_outage
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.heartbeat.domain import (
    ArmAgain,
    Chorus,
    Drop,
    Hearing,
    Judgement,
    Ping,
    SilentRun,
    Why,
    Zombie,
    is_still_silent,
    is_still_unheard,
    judge,
)
from services.heartbeat.ear import Ear
from services.heartbeat.roll import Roll
from services.heartbeat.settings import HeartbeatSettings
from services.heartbeat.store import Store

SILENCES = streams.BEATS.durables[0]
STATES = next(d for d in streams.EVENTS.durables if d.name == "heartbeat__states")
SWEEP_LIMIT = 1000
ROLL_LIMIT = 1000
GATHER = timedelta(
    seconds=1
)  # in which pings gather into one statement; last_seen is late by as much
ROLL_CALL = timedelta(seconds=1)
STATES_REST = 0.1  # seconds; a switch of two minutes is armed for many runs in one transaction
LAG = 5  # seconds that a ping may wait to be heard; beyond it we are deaf
AHEAD = 10_000  # silences that may wait here; the stream gives out twice as many unacknowledged
ASK_AT_ONCE = 50  # questions to the broker in flight
ANSWER_WITHIN = 2.0  # seconds for each; a healthy broker needs milliseconds
ASK_AGAIN = 1.0  # seconds after which a silence comes back whose question had no answer
_NO_MESSAGE = 10037  # nats-server's code: the stream is there, and has none of this subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at the stream of pings told: the last message it took, and how many of all were silences."""

    moment: float
    sequence: int
    fired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a batch of silent runs."""

    zombies: int = 0
    armed_again: int = 0
    dropped: int = 0
    unanswered: frozenset[UUID] = frozenset()
    """Of these the broker did not say in time whether they pinged meanwhile: they are to be judged again."""


class Heartbeat(Service):
    """See the package's page."""

    name: ClassVar[str] = "heartbeat"
    has_outbox: ClassVar[bool] = True

    def __init__(
        self, settings: HeartbeatSettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self._settings = settings
        self._lapse = settings.heartbeat_lapse
        self._gateway_heard: float | None = None
        self._ear = Ear()
        self._roll = Roll()
        self._deaf: list[str] = []
        self._deaf_since: float | None = None
        self._looks: deque[Look] = deque()  # as far back as a silence
        self._guarded = 0
        self._counted = -math.inf
        self._beats_of_ours: deque[float] = deque(maxlen=100_000)
        self._mass_since: float | None = None
        self._task_pings: dict[UUID, UUID] = {}
        self.add_loop("pings", interval=GATHER, tick=self.note_pings)
        self.add_loop("roll", interval=ROLL_CALL, tick=self.call_the_roll)
        self._watch = self.add_loop("watch", interval=settings.heartbeat_watch, tick=self.watch)
        self.add_loop(
            "sweep",
            interval=settings.heartbeat_sweep,
            tick=self.sweep,
            start_after=settings.heartbeat_silence,
        )
        self.add_loop("census", interval=settings.heartbeat_interval, tick=self.census)
        self.add_loop("task_pings", interval=settings.heartbeat_watch, tick=self.note_task_pings)

    def declare(self) -> None:
        """Consume pings, silences and states."""
        # nats-server sends from the loop that stores pings: under load an answer takes seconds, so not one a batch.
        self.bus.consume_batches(SILENCES, streams.BEATS, self.on_silences, ahead=AHEAD, wait=5.0)
        self.bus.consume_batches(STATES, streams.EVENTS, self.on_states, rest=STATES_REST)
        self.bus.on_signal(subjects.SIG_TASK_BEAT.wildcard, self.on_task_ping, queue=self.name)
        self.bus.on_signal(subjects.SIG_SERVICE_ALIVE.at(service="gateway"), self.on_gateway_alive)

    async def on_start(self) -> None:
        """Also hear the pings: on core NATS, since a consumer of theirs would slow the broker (see `streams.BEATS`)."""
        await self.bus.open(self._ear)
        await self._ear.listen(self.name)

    async def on_stop(self) -> None:
        """Hear no more, and write what was heard until now."""
        await self._ear.end()
        try:
            await self.note_pings()
            await self.note_task_pings()
        except Exception as error:
            if not is_outage(error):
                raise
            self.log.warning("last_pings_not_written", error=str(error))

    async def unready(self) -> list[str]:
        """Also when pings have not been heard for a while; a start, or a gateway's restart, is no reason."""
        reasons = await super().unready()
        if (
            self._deaf_since is None
            or self._moment() - self._deaf_since < self._lapse.total_seconds()
        ):
            return reasons
        return [*reasons, *self._deaf]

    # pings

    async def note_pings(self) -> int:
        """Write who pinged; take the switch away from runs that are not to be guarded."""
        heard = self._ear.take()
        self._roll.hear(heard, self._moment())
        try:
            await self._note(heard)
        except asyncio.CancelledError:
            self._ear.give_back(heard)  # a drain cancels this tick; `on_stop` writes them
            raise
        metrics.PINGS_SEEN.inc(len(heard))
        return len(heard)

    async def _note(self, heard: dict[bytes, bytes]) -> None:
        runs = sorted(heard)  # one order of locks for all replicas
        for start in range(0, len(runs), self._settings.heartbeat_batch):
            part = {
                run.decode(): heard[run].decode()
                for run in runs[start : start + self._settings.heartbeat_batch]
            }
            async with self.database.transaction() as connection:
                store = Store(connection)
                new = await store.see(part, coarse=self._settings.heartbeat_coarse)
                guarded = await store.guard(new, anew=False) if new else {}
            for run_id in new.keys() - guarded.keys():
                await self._disarm(new[run_id], run_id)

    async def on_states(self, messages: Sequence[Msg]) -> None:
        """Guard and arm runs that begin to run; disarm those that have finished."""
        newest: dict[UUID, FlowRunStateChanged] = {}
        for message in messages:
            try:
                event = FlowRunStateChanged.model_validate_json(message.data)
            except ValidationError as error:
                await self.bus.bury(STATES, message, str(error))
                continue
            if event.flow_run_id not in newest or newest[event.flow_run_id].version < event.version:
                newest[event.flow_run_id] = event
        running = [e.flow_run_id for e in newest.values() if e.state == State.RUNNING]
        if running:
            async with self.database.transaction() as connection:
                store = Store(connection)
                await store.unguard(running)
                guarded = await store.guard(running, anew=True)
            now = self.clock()
            await self._arm(
                (tenant_id, run_id, now, self._settings.heartbeat_silence)
                for run_id, tenant_id in guarded.items()
            )
        for event in newest.values():
            if is_finished(event.state):
                self._roll.strike(event.flow_run_id)
                await self._disarm(event.tenant_id, event.flow_run_id)

    async def on_task_ping(self, message: Msg) -> None:
        """Remember it until the next flush; shown, never judged."""
        *_, tenant, task_run = message.subject.split(".")
        try:
            self._task_pings[UUID(task_run)] = UUID(tenant)
        except ValueError:
            self.log.warning("ping_unreadable", subject=message.subject)

    async def note_task_pings(self) -> int:
        """Write the pings of task runs that came since."""
        pings, self._task_pings = self._task_pings, {}
        if pings:
            async with self.database.transaction() as connection:
                await Store(connection).see_tasks(pings)
        return len(pings)

    # silences

    async def on_silences(self, messages: Sequence[Msg]) -> None:
        """The broker heard nothing of these runs: announce the zombies among them."""
        silent: dict[UUID, Silence] = {}
        carriers: dict[UUID, list[Msg]] = {}
        for message in messages:
            try:
                silence = Silence.model_validate_json(message.data)
            except ValidationError as error:
                await self.bus.bury(SILENCES, message, str(error))
                continue
            silent[silence.flow_run_id] = silence
            carriers.setdefault(silence.flow_run_id, []).append(message)
        if not silent:
            return
        async with self.database.transaction() as connection:
            store = Store(connection)
            facts = await store.facts(silent)
            now = await store.now()
            hearing = await self._hearing(store)
        decided: list[tuple[SilentRun, Judgement]] = []
        dropped: list[UUID] = []
        for run_id, silence in silent.items():
            run = facts.get(run_id)
            if run is None or run.tenant_id != silence.tenant_id:
                metrics.SILENCES.labels(Why.UNKNOWN).inc()
                dropped.append(run_id)
                continue
            verdict = judge(run, now=now, silence=self._settings.heartbeat_silence, hearing=hearing)
            if isinstance(verdict, Zombie):
                # The ping that went unanswered is a truer last sign of life than the coarse row.
                sent = min(silence.sent, now)
                verdict = Zombie(last_seen=max(verdict.last_seen, sent))
            elif isinstance(verdict, Drop):
                dropped.append(run_id)
            decided.append((run, verdict))
        judged = await self._carry_out(decided, silent, now)
        await self._take_away(message for run_id in dropped for message in carriers[run_id])
        for run_id in judged.unanswered:
            for message in carriers[run_id]:
                await message.nak(delay=ASK_AGAIN)

    async def call_the_roll(self) -> int:
        """Announce whom this ear has not heard for the silence; how many those were.

        The broker says it of everybody, but late when it has much to do (seen: up to 16 s at 33,000 pings/s on two full
        cores). What is not plain here is left to it.
        """
        announced = 0
        while silent := self._roll.take_silent(self._silence_began(), limit=ROLL_LIMIT):
            announced += await self._announce_unheard(silent)
        return announced

    async def _announce_unheard(self, silent: list[UUID]) -> int:
        silence = self._settings.heartbeat_silence
        async with self.database.transaction() as connection:
            store = Store(connection)
            now = await store.now()
            hearing = await self._hearing(store)
            if hearing.mass_silence or hearing.is_too_short(now=now, silence=silence):
                return 0
            facts = await store.facts(silent)
        verdicts = [
            (run, judge(run, now=now, silence=silence, hearing=hearing)) for run in facts.values()
        ]
        zombies = [(run, v.last_seen) for run, v in verdicts if isinstance(v, Zombie)]
        # A replica may have heard the ping after the one that we heard last; the broker may have stored that one late.
        # Looked up before we ask: the answers take up to a minute, in which no ping is to grow old.
        sequence = self._sequence_at(
            self._silence_began() + self._settings.heartbeat_interval.total_seconds() * 3 / 4
        )
        newest = await self._newest_pings([run for run, _ in zombies])
        still = [
            (run, max(last_seen, ping.sent))
            for run, last_seen in zombies
            if (ping := newest.get(run.flow_run_id)) is not None
            and is_still_unheard(ping, sequence=sequence, since=now - silence)
            and not self._is_heard(run)
        ]
        announced = await self._announce(still, now) if still else set()
        metrics.SILENCES.labels("zombie").inc(len(announced))
        return len(announced)

    def _is_heard(self, run: SilentRun) -> bool:
        """Whether this ear heard the run within the silence, also what the tables or the broker do not hold yet."""
        return self._ear.has_just_heard(run.flow_run_id, run.tenant_id) or self._roll.was_heard(
            run.flow_run_id, run.tenant_id, after=self._silence_began()
        )

    def _silence_began(self) -> float:
        """The moment since which those are silent who did not ping after it."""
        return self._moment() - self._settings.heartbeat_silence.total_seconds()

    async def sweep(self) -> Judged:
        """Find guarded runs whose switch the broker lost."""
        settings = self._settings
        after = (
            settings.heartbeat_silence
            + settings.heartbeat_coarse
            + settings.heartbeat_interval
            + settings.heartbeat_sweep_grace
        )
        async with self.database.transaction() as connection:
            store = Store(connection)
            overdue = await store.overdue(after, limit=SWEEP_LIMIT)
            if not overdue:
                return Judged()
            now = await store.now()
            hearing = await self._hearing(store)
        # Whoever has a switch in the broker is left to it.
        newest = await self._newest_pings(overdue)
        lost = [r for r in overdue if r.flow_run_id in newest and newest[r.flow_run_id] is None]
        decided = [(run, judge(run, now=now, silence=after, hearing=hearing)) for run in lost]
        return await self._carry_out(decided, {}, now)

    async def _carry_out(
        self,
        decided: list[tuple[SilentRun, Judgement]],
        silent: dict[UUID, Silence],
        now: datetime,
    ) -> Judged:
        zombies = [(run, v.last_seen) for run, v in decided if isinstance(v, Zombie)]
        still, unanswered = await self._still_silent(zombies, silent)
        announced = await self._announce(still, now) if still else set()
        await self._arm(
            (run.tenant_id, run.flow_run_id, _sent(silent, run), verdict.after)
            for run, verdict in decided
            if isinstance(verdict, ArmAgain)
        )
        outcomes = Counter(v.why for _, v in decided if isinstance(v, ArmAgain | Drop))
        for why, count in outcomes.items():
            metrics.SILENCES.labels(why).inc(count)
        metrics.SILENCES.labels("zombie").inc(len(announced))
        held = outcomes[Why.DEAF] + outcomes[Why.MASS_SILENCE]
        if held:
            self.log.warning("silences_held", reasons=dict(outcomes), runs=held)
        return Judged(
            zombies=len(announced),
            armed_again=sum(isinstance(v, ArmAgain) for _, v in decided),
            dropped=sum(isinstance(v, Drop) for _, v in decided),
            unanswered=unanswered,
        )

    async def _still_silent(
        self, zombies: list[tuple[SilentRun, datetime]], silent: dict[UUID, Silence]
    ) -> tuple[list[tuple[SilentRun, datetime]], frozenset[UUID]]:
        """Those that did not ping while we judged, and those of which the broker did not tell."""
        newest = await self._newest_pings([run for run, _ in zombies])
        unanswered = frozenset(run.flow_run_id for run, _ in zombies) - newest.keys()
        still = [
            (run, last_seen)
            for run, last_seen in zombies
            if run.flow_run_id in newest
            and is_still_silent(_sent(silent, run), newest[run.flow_run_id])
            and not self._is_heard(run)
        ]
        metrics.SILENCES.labels(Why.ALIVE).inc(len(newest) - len(still))
        metrics.SILENCES.labels(Why.UNANSWERED).inc(len(unanswered))
        if unanswered:
            self.log.warning("newest_pings_not_told", runs=len(unanswered))
        return still, unanswered

    async def _newest_pings(self, runs: Sequence[SilentRun]) -> dict[UUID, Ping | None]:
        """The newest ping that the broker holds of each run, None where it holds none.

        A run of which it did not tell in time is missing; nothing more is asked then, since it has enough to do.

        Not by direct gets: nats-server 2.15.1 answers those from the loop that stores the stream's messages, behind all
        pings that wait (seen: up to 5 s at 33,000 pings/s, where this took 10 ms). One for many subjects (`multi_last`,
        ADR-31) even makes the pings wait, 2 to 10 s, while it reads the stream's blocks. What waits unstored in the
        broker has been heard by the ears.
        """
        told: dict[UUID, Ping | None] = {}
        for start in range(0, len(runs), ASK_AT_ONCE):
            part = runs[start : start + ASK_AT_ONCE]
            answers = await asyncio.gather(*(self._newest_ping(run) for run in part))
            for answer in answers:
                told.update(answer)
            if len(told) < start + len(part):
                break
        return told

    async def _newest_ping(self, run: SilentRun) -> dict[UUID, Ping | None]:
        """Of this run, by its id; empty when the broker did not tell."""
        subject = subjects.BEAT.at(tenant_id=run.tenant_id, flow_run_id=run.flow_run_id)
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                message = await self.bus.js.get_last_msg(streams.BEATS.name, subject)
            sent = Silence.model_validate_json(message.data or b"").sent
            return {run.flow_run_id: Ping(sent=sent, sequence=message.seq or 0)}
        except ValidationError:
            return {run.flow_run_id: None}  # what disarms is no ping
        except nats.js.errors.NotFoundError as error:
            # A stream that is lost knows nothing of anybody's pings.
            return {run.flow_run_id: None} if error.err_code == _NO_MESSAGE else {}
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
            return {}

    async def _announce(
        self, zombies: list[tuple[SilentRun, datetime]], now: datetime
    ) -> set[UUID]:
        async with self.database.transaction() as connection:
            fresh = await Store(connection).announce(zombies, now=now, lapse=self._lapse)
            await faults.reached(faults.Point.HEARTBEAT_BEFORE_PROPOSE)
            await outbox.add(
                connection,
                "heartbeat",
                (
                    FlowRunZombieDetected(
                        event_id=self.ids(),
                        at=now,
                        tenant_id=run.tenant_id,
                        flow_run_id=run.flow_run_id,
                        version=run.version,
                        last_seen=last_seen,
                    )
                    for run, last_seen in zombies
                    if run.flow_run_id in fresh
                ),
            )
        self.committed()
        metrics.ZOMBIES.inc(len(fresh))
        for run, last_seen in zombies:
            if run.flow_run_id in fresh:
                self.log.info(
                    "zombie_detected",
                    flow_run_id=str(run.flow_run_id),
                    version=run.version,
                    state=run.state,
                    last_seen=last_seen.isoformat(),
                )
        return fresh

    # the switch

    async def _arm(self, switches: Iterable[tuple[UUID, UUID, datetime, timedelta]]) -> None:
        """Arm in the place of a ping: (tenant, run, last sign of life, after which silence).

        Unacknowledged, as pings are: a switch that gets lost is a run that the sweep finds.
        """
        for tenant_id, run_id, sent, after in switches:
            subject, headers, body = beat_message(tenant_id, run_id, sent, after)
            await self._publish(subject, headers | {REARMED_HEADER: "1"}, body)

    async def _take_away(self, silences: Iterable[Msg]) -> None:
        """Disarm what said these, or it would say so again and again.

        The broker names the switch; the body is its sender's word, who might name another tenant's run.
        """
        for message in silences:
            subject = (message.headers or {}).get(SCHEDULER_HEADER)
            if subject is not None:
                await self._publish(subject, {TTL_HEADER: "1s"}, b"")

    async def _disarm(self, tenant_id: UUID, run_id: UUID) -> None:
        await self._publish(*disarm_message(tenant_id, run_id))

    async def _publish(self, subject: str, headers: dict[str, str], body: bytes) -> None:
        self._beats_of_ours.append(self._moment())
        await self.bus.client.publish(subject, body, headers=headers)

    # our own hearing

    async def on_gateway_alive(self, _message: Msg) -> None:
        """A gateway runs, so pings can come through."""
        self._gateway_heard = self._moment()
        if self._deaf:
            self._watch.poke()

    async def watch(self) -> list[str]:
        """Confirm that pings are heard, or say why they may not be."""
        self._deaf = await self._reasons_for_deafness()
        if self._deaf:
            if self._deaf_since is None:
                self._deaf_since = self._moment()
                self.log.warning("pings_not_heard", reasons=self._deaf)
            return self._deaf
        if self._deaf_since is not None:
            self._deaf_since = None
            self.log.info("pings_heard_again")
        async with self.database.transaction() as connection:
            await Store(connection).watch(self._lapse)
        return []

    async def _reasons_for_deafness(self) -> list[str]:
        if not self.bus.connected:
            return ["NATS is not connected"]
        now = self._moment()
        lapse = self._lapse.total_seconds()
        reasons: list[str] = []
        if self._settings.heartbeat_needs_gateway and (
            self._gateway_heard is None or now - self._gateway_heard > lapse
        ):
            reasons.append("no gateway is heard, so pings may not come through")
        if not self._ear.is_connected:
            reasons.append("the connection that hears pings is not up")
        elif await self._ear.lags(LAG):
            reasons.append("pings come faster than they are heard")
        try:
            stream = await self.bus.js.stream_info(streams.BEATS.name)
            looked = self._moment()  # behind the answer: what is stored later is not of that moment
            silences = await self.bus.js.consumer_info(streams.BEATS.name, SILENCES.name)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
            return [*reasons, f"the stream of pings does not answer: {type(error).__name__}"]
        # What the stream took that is no silence was a ping: of all replicas, whoever heard it.
        fired = (silences.num_pending or 0) + (
            silences.delivered.consumer_seq if silences.delivered else 0
        )
        if self._looks and stream.state.last_seq < self._looks[-1].sequence:
            self._looks.clear()  # another stream, since that one was lost
        self._looks.append(Look(moment=looked, sequence=stream.state.last_seq, fired=fired))
        while len(self._looks) > 1 and self._looks[1].moment <= self._silence_began():
            self._looks.popleft()
        return reasons

    def _sequence_at(self, moment: float) -> int:
        """The stream's last message at that moment, or somewhat before; 0 when we had not looked yet."""
        return next((look.sequence for look in reversed(self._looks) if look.moment <= moment), 0)

    async def _hearing(self, store: Store) -> Hearing:
        since = await store.hearing(self._lapse)
        # What we know already, the row says only when its last confirmation has lapsed: too late by up to a ping.
        if since is None or self._deaf:
            return Hearing(since=None)
        silent = self._is_chorus_silent()
        if silent:
            await self._count_again()  # many may have finished since the last census
            silent = self._is_chorus_silent()
        now = self._moment()
        if not silent:
            self._mass_since = None
        elif self._mass_since is None:
            self._mass_since = now
            self.log.error("mass_silence", advice="most runs do not ping; is the way to us open?")
        # Held once, not for ever: what is silent for another whole period is what it seems.
        held = (
            self._mass_since is not None
            and now - self._mass_since < self._settings.heartbeat_silence.total_seconds()
        )
        metrics.SILENCES_HELD.set(int(held))
        return Hearing(since=since, mass_silence=held)

    async def census(self) -> int:
        """Count the guarded runs; once an interval, because a million of them take a second to count."""
        async with self.database.transaction() as connection:
            self._guarded = await Store(connection).guarded()
        self._counted = self._moment()
        metrics.RUNS_GUARDED.set(self._guarded)
        return self._guarded

    async def _count_again(self) -> None:
        """Not for each batch of a mass silence."""
        if self._moment() - self._counted > self._settings.heartbeat_watch.total_seconds():
            await self.census()

    def _is_chorus_silent(self) -> bool:
        if len(self._looks) < 2:
            return False
        last = self._looks[-1]
        horizon = last.moment - self._settings.heartbeat_interval.total_seconds()
        first = next((k for k in reversed(self._looks) if k.moment <= horizon), self._looks[0])
        ours = sum(1 for moment in self._beats_of_ours if moment >= first.moment)
        taken = (last.sequence - first.sequence) - (last.fired - first.fired)
        chorus = Chorus(guarded=self._guarded, pings=taken - ours)
        return chorus.is_silent(
            least=self._settings.heartbeat_mass_runs, share=self._settings.heartbeat_mass_share
        )

    @staticmethod
    def _moment() -> float:
        return asyncio.get_running_loop().time()


def _sent(silent: dict[UUID, Silence], run: SilentRun) -> datetime:
    """When the run's last ping was sent, as far as we know."""
    silence = silent.get(run.flow_run_id)
    return silence.sent if silence is not None else run.seen


def build(settings: HeartbeatSettings) -> Heartbeat:
    """The service, ready to start."""
    return Heartbeat(settings)
