"""The agent process: its runs, its loops, its end."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from nats.aio.msg import Msg

from . import VERSION, metrics, wire
from .address import Address
from .child import Child, Phase, Reason, Workshop
from .claims import Claims
from .clock import new_id
from .folder import StateFolder
from .link import Link, UnreachableError
from .metrics import Metrics
from .processes import Executor
from .say import Say

_RETRY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of an agent."""

    name: str
    tenant_id: UUID
    labels: tuple[str, ...]
    capacity: int
    address: Address
    executor: Executor
    sends_logs: bool = True
    state: Path
    metrics_port: int | None = None
    drain_for: float = 600.0
    """Seconds that processes may go on after SIGTERM before they are left to the next agent."""


class Agent:
    """One agent process."""

    def __init__(self, settings: Settings, *, say: Say) -> None:
        self.failed = False
        self._settings = settings
        self._say = say
        self._session = new_id()
        self._metrics = Metrics()
        self._children: dict[UUID, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._welcome: wire.Welcome | None = None
        self._greet = asyncio.Event()
        self._changed = asyncio.Event()
        self._stop_calls = 0
        self._stop = asyncio.Event()
        self._leave = asyncio.Event()
        self._link = Link(
            settings.address,
            settings.tenant_id,
            name=settings.name,
            metrics=self._metrics,
            say=say,
            on_connected=self._greet.set,
        )
        self._claims = Claims(
            self._link,
            session=self._session,
            labels=list(settings.labels),
            room=self._room,
            take=self._take,
            metrics=self._metrics,
            say=say,
        )
        self._state = StateFolder(settings.state)
        self._shop = Workshop(
            link=self._link,
            state=self._state,
            executor=settings.executor,
            sends_logs=settings.sends_logs,
            session=self._session,
            metrics=self._metrics,
            say=say,
            agent_id=self._agent_id,
            kill_after=lambda: self._welcome.kill if self._welcome else 30.0,
            freed=self._freed,
        )
        gauge = self._metrics.gauge
        gauge("connected", "Whether NATS is connected", lambda: float(self._link.is_connected))
        gauge("running", "Processes that run", lambda: float(len(self._children)))
        gauge("capacity", "Processes at most", lambda: float(settings.capacity))
        gauge("draining", "Whether it takes no more runs", lambda: float(self._stop.is_set()))

    def stop(self) -> None:
        """Claim nothing new, and end after the processes; called again, leave them to the next agent."""
        self._stop_calls += 1
        if self._stop_calls > 1:
            self._leave.set()
        self._stop.set()

    # start and stop

    async def run(self) -> None:
        """Run until stopped. Raises for errors that do not pass with time: a state folder or a port in use, a bad
        file."""
        server: asyncio.Server | None = None
        if self._settings.metrics_port is not None:
            server = await metrics.serve(
                self._metrics, lambda: self._link.is_connected, port=self._settings.metrics_port
            )
        self._adopt()
        opening = asyncio.create_task(self._open(), name="open")
        try:
            await self._first(opening, self._stop)
            if opening.done():
                opening.result()
            else:
                opening.cancel()
            await self._stop.wait()
            await self._drain()
        finally:
            opening.cancel()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(opening, *self._tasks, return_exceptions=True)
            await self._link.close()
            if server is not None:
                server.close()
            self._state.close()

    async def _open(self) -> None:
        await self._link.open()
        await self._claims.listen()
        await self._link.hear(wire.cancel_subject(self._settings.tenant_id), self._on_cancel)
        for loop in (self._greeting, self._renewing, self._pinging, self._claims.run):
            self._spawn(loop())

    @staticmethod
    async def _first(task: "asyncio.Task[None]", event: asyncio.Event) -> None:
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def _drain(self) -> None:
        """Claim nothing new; wait for the running processes."""
        with suppress(UnreachableError):
            async with asyncio.timeout(2):
                await self._link.ask("drain", wire.Drain(session=self._session), wire.Applied)
        if self._children:
            self._say(
                f"draining: waiting for {len(self._children)} runs; interrupt again to leave them"
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_for):
                while self._children and not self._leave.is_set():
                    self._changed.clear()
                    changed = asyncio.create_task(self._changed.wait())
                    left = asyncio.create_task(self._leave.wait())
                    await asyncio.wait({changed, left}, return_when=asyncio.FIRST_COMPLETED)
                    changed.cancel()
                    left.cancel()
        if self._children:
            self._say(f"left {len(self._children)} runs to the next agent on this state folder")

    # loops

    async def _greeting(self) -> None:
        """Say hello after each connection, until it is answered; then claim, and renew the leases."""
        while True:
            await self._greet.wait()
            self._greet.clear()
            if await self._hello():
                await self._renew_all()
            else:
                await asyncio.sleep(_RETRY)
                self._greet.set()

    async def _hello(self) -> bool:
        settings = self._settings
        hello = wire.Hello(
            protocols=[wire.PROTOCOL],
            session=self._session,
            name=settings.name,
            labels=list(settings.labels),
            capacity=settings.capacity,
            version=VERSION,
            core_version=settings.executor.version,
        )
        try:
            answer = await self._link.ask("hello", hello, wire.Welcome)
        except UnreachableError as error:
            self._say(f"waiting for Headwater: {error}")
            return False
        if isinstance(answer, wire.Refused):
            self._say(f"Headwater refuses this agent: {_reason(answer, settings.tenant_id)}")
            await asyncio.sleep(_RETRY * 4)
            return False
        if self._welcome is None:
            labels = ", ".join(settings.labels) or "none"
            self._say(f"ready for {settings.capacity} runs at a time; labels: {labels}")
        self._welcome = answer
        self._claims.note_pause(is_paused=answer.queue_is_paused)
        self._claims.welcomed(answer.agent_id, park=answer.park)
        return True

    async def _renewing(self) -> None:
        while True:
            await asyncio.sleep(self._welcome.renew if self._welcome else _RETRY)
            await self._renew_all()

    async def _renew_all(self) -> None:
        """Renew the leases of all processes, and act on the ledger's answer for each."""
        children = [
            c for c in self._children.values() if c.phase in (Phase.PREPARING, Phase.RUNNING)
        ]
        if not children:
            return
        request = wire.Renew(
            session=self._session, agent_id=self._agent_id(), held=[c.held for c in children]
        )
        now = asyncio.get_running_loop().time()
        try:
            answer = await self._link.ask("renew", request, wire.Renewed)
        except UnreachableError:
            answer = None
        if answer is None or isinstance(answer, wire.Refused):
            self._stop_cut_off(children, now=now)
            return
        for child, renewal in zip(children, answer.renewals, strict=False):
            child.note(renewal)
            child.obey(renewal.standing, now=now)

    def _stop_cut_off(self, children: list[Child], *, now: float) -> None:
        """A process that has not begun and whose lease has expired: another agent may have the run now."""
        for child in children:
            if child.state == "Submitted" and now - child.renewed_at > 3 * self._renew_every():
                child.stop(Reason.CUT_OFF)

    def _renew_every(self) -> float:
        return self._welcome.renew if self._welcome else 10.0

    async def _pinging(self) -> None:
        while True:
            await asyncio.gather(*(child.ping() for child in list(self._children.values())))
            await asyncio.sleep(self._welcome.beat if self._welcome else _RETRY)

    async def _on_cancel(self, message: Msg) -> None:
        """A hint that a run must stop. The lease is renewed first, which gives the ledger's decision."""
        for child in self._children.values():
            if str(child.run.flow_run_id) == message.subject.rpartition(".")[2]:
                self._spawn(self._ask_about(child))

    async def _ask_about(self, child: Child) -> None:
        with suppress(UnreachableError):
            standing = await child.renew()
            if standing is not None:
                child.obey(standing, now=asyncio.get_running_loop().time())

    # runs

    def _room(self) -> int:
        if self._stop.is_set():
            return 0
        busy = sum(1 for child in self._children.values() if child.phase is not Phase.ENDED)
        return self._settings.capacity - busy

    def _take(self, runs: list[wire.ClaimedRun]) -> None:
        for run in runs:
            child = Child(run, self._shop)
            known = self._children.get(run.lease_token)
            if known is not None:
                continue  # an answer that arrived twice
            if self._room() <= 0:
                self._spawn(child.give_back("The agent had no room for it."))
                continue
            self._hold(child)

    def _adopt(self) -> None:
        """Take over the runs of an earlier agent on this state folder: live processes, and ends to report."""
        executor = self._settings.executor
        for folder in executor.find(self._state):
            child = Child(folder.record.run, self._shop, folder=folder, phase=Phase.RUNNING)
            if executor.exit_code(folder) is None:
                self._metrics.count("adopted")
                self._say(f"{child.name}: found its {executor.noun}{_named(folder.pid)}")
            child.renewed_at = asyncio.get_running_loop().time()
            self._hold(child)

    def _hold(self, child: Child) -> None:
        self._children[child.run.lease_token] = child
        self._spawn(self._live(child))

    async def _live(self, child: Child) -> None:
        try:
            await child.live()
        except Exception as error:  # an error with one run must not end the others
            self._say(f"{child.name}: {type(error).__name__}: {error}")
        finally:
            if not (task := asyncio.current_task()) or not task.cancelling():
                child.phase = Phase.ENDED
                self._children.pop(child.run.lease_token, None)
                self._freed()

    def _freed(self) -> None:
        self._changed.set()
        self._claims.poke()

    # helpers

    def _agent_id(self) -> UUID:
        return self._welcome.agent_id if self._welcome else self._session

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say(f"a part of the agent failed: {type(error).__name__}: {error}")
            self.failed = True
            self._stop.set()
            self._leave.set()  # the supervisor restarts the agent, which then adopts the processes


def _named(pid: int | None) -> str:
    return "" if pid is None else f" {pid}"


def _reason(refused: wire.Refused, tenant_id: UUID) -> str:
    match refused.code:
        case "tenant_invalid":
            return f"there is no tenant {tenant_id}"
        case _:
            return refused.fields.get("reason", refused.code)
