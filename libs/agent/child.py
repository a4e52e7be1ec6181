"""One run, from the claim to the report: confirm, start, forward its output, watch, stop, report."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from . import wire
from .clock import new_id, utc_now
from .environment import UnstartableError
from .folder import VANISHED, RunFolder, StateFolder
from .link import Link, UnreachableError
from .metrics import Metrics
from .output import CHUNK, Flood, Sieve, whole_lines
from .processes import Executor
from .say import Say
from .wire import ClaimedRun, Outcome, Standing

LOOK = 0.2
"""Seconds between two checks of a process: whether it lives, and its new output."""
_RETRY = 2.0
"""Seconds before asking the ledger again."""
_LAST_WORDS = 30.0
"""Seconds that forwarding a dead process's output may take before the rest is given up."""
_BATCH_LINES = 500
LOGGER = "agent"
"""The name that Prefect's agents use."""
STDOUT = "stdout"


class Phase(StrEnum):
    """The phase of a run in this agent."""

    CLAIMED = "claimed"
    PREPARING = "preparing"  # its image is pulled: the lease is renewed, nothing can be stopped yet
    RUNNING = "running"
    ENDED = "ended"


class Reason(StrEnum):
    """The reason for stopping a process."""

    CANCELLED = "its run was cancelled"
    LOST = "its run went to another attempt"
    OVER = "its run is over"
    CUT_OFF = "its lease could not be renewed before it began"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Shared by all runs of an agent."""

    link: Link
    state: StateFolder
    executor: Executor
    sends_logs: bool
    session: UUID
    metrics: Metrics
    say: Say
    agent_id: Callable[[], UUID]
    kill_after: Callable[[], float]
    freed: Callable[[], None]
    """Called when a run no longer counts against the capacity."""


@dataclass(slots=True, eq=False)
class Child:
    """A run that this agent holds."""

    run: ClaimedRun
    shop: Workshop
    folder: RunFolder | None = None
    phase: Phase = Phase.CLAIMED
    state: str | None = None
    """The run's state in the ledger's last answer."""
    renewed_at: float = 0.0
    reason: Reason | None = None
    over_since: float | None = None
    _sieve: Sieve = field(default_factory=Sieve)
    _flood: Flood = field(default_factory=Flood)
    _stopping: "asyncio.Task[None] | None" = None

    @property
    def held(self) -> wire.HeldLease:
        return wire.HeldLease(flow_run_id=self.run.flow_run_id, lease_token=self.run.lease_token)

    @property
    def name(self) -> str:
        return f"{self.run.flow_name}/{self.run.name}"

    # the whole run

    async def live(self) -> None:
        """From claim to report. Never raises but for cancellation, which leaves the process to the next agent."""
        if self.folder is None and not await self._begin():
            self._end()
            return
        self.phase = Phase.RUNNING
        code = await self._watch()
        self._end()
        if self._stopping is not None:
            self._stopping.cancel()
        self._tell_end(code)
        if self.reason is not Reason.LOST:
            await self._report_end(code)
            await self._forward_rest()
        if self.folder is not None:
            await self.shop.executor.remove(self.folder)

    def _end(self) -> None:
        self.phase = Phase.ENDED
        self.shop.freed()

    # beginning

    async def _begin(self) -> bool:
        """Confirm the lease and start the process; returns whether there is a process."""
        if not await self._confirm():
            return False
        try:
            what = await self._start()
        except UnstartableError as error:
            self.shop.say(f"{self.name}: {error}", flow_run_id=self.run.flow_run_id)
            await self._log([str(error)], level="ERROR", name=LOGGER)
            await self._report(Outcome.UNSTARTED, message=str(error))
        except OSError as error:
            noun = self.shop.executor.noun
            message = f"The {noun} could not be started: {error.strerror or error}."
            self.shop.say(f"{self.name}: {message}", flow_run_id=self.run.flow_run_id)
            await self._report(Outcome.EXITED, exit_code=126, message=message)
        else:
            if what is not None:
                self.phase = Phase.RUNNING
                if self.shop.sends_logs:
                    await self._log([f"Submitted for execution: {what}"], name=LOGGER)
                return True
        if self.folder is not None:
            await self.shop.executor.remove(self.folder)
        return False

    async def _confirm(self) -> bool:
        """Whether the ledger says that the run is ours: we may have lost it by a pause since the claim."""
        deadline = _now() + self.run.lease
        while True:
            try:
                standing = await self.renew()
            except UnreachableError:
                if _now() >= deadline:
                    self.shop.say(f"{self.name}: nobody confirmed the claim; left to another agent")
                    return False
                await asyncio.sleep(0.2)
                continue
            if standing is Standing.HELD:
                return True
            if standing is Standing.CANCEL:
                await self._report(Outcome.RETURNED, message="It was cancelled before it started.")
            else:
                self.shop.metrics.count("lost")
            return False

    async def renew(self) -> Standing | None:
        """Renew this lease alone. Raises UnreachableError."""
        answer = await self.shop.link.ask(
            "renew",
            wire.Renew(session=self.shop.session, agent_id=self.shop.agent_id(), held=[self.held]),
            wire.Renewed,
        )
        if isinstance(answer, wire.Refused) or not answer.renewals:
            msg = f"the lease was not renewed: {answer}"
            raise UnreachableError(msg)
        self.note(answer.renewals[0])
        return answer.renewals[0].standing

    def note(self, renewal: wire.Renewal) -> None:
        """The ledger's answer for this lease."""
        self.renewed_at = _now()
        self.state = renewal.state or self.state

    async def _start(self) -> str | None:
        """Start it; returns its name for log lines, None if the run went to another agent during the preparation."""
        run, shop = self.run, self.shop
        executor = shop.executor
        self.folder = shop.state.add(run, noun=executor.noun)
        self.phase = Phase.PREPARING
        self.renewed_at = _now()
        if await executor.prepare(self.folder) and not await self._confirm():
            return None
        what = await executor.start(self.folder)
        late = (utc_now() - run.due).total_seconds() if run.due is not None else 0.0
        shop.metrics.started(max(0.0, late))
        attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
        short = what.rpartition(" ")[2][:12]
        shop.say(
            f"{self.name} started, {executor.noun} {short}{attempt}",
            flow_run_id=run.flow_run_id,
            **{executor.noun: what.rpartition(" ")[2]},
        )
        return what

    # watching

    async def _watch(self) -> int:
        """Forward the output until the process has ended; returns its exit code."""
        if self.folder is None:
            msg = f"{self.name} has no folder"
            raise RuntimeError(msg)
        while True:
            code = self.shop.executor.exit_code(self.folder)
            if code is not None:
                return code
            if not await self._forward():
                await asyncio.sleep(LOOK)

    async def _forward(self, *, is_last: bool = False) -> bool:
        """Forward some output; returns whether there may be more. Output that the broker refuses stays on disk."""
        folder = self.folder
        if folder is None or not self.shop.link.is_connected:
            return False
        data = whole_lines(
            folder.read_output(at=folder.record.forwarded, size=CHUNK), is_last=is_last
        )
        if not data and not self._flood.is_over(now=_now()):
            return False
        sieve, flood = Sieve(self._sieve.in_record), self._flood.copy()
        lines = sieve.keep(data.decode(errors="replace").replace("\x00", "\ufffd"))
        lines = flood.pass_on(lines, now=_now())
        if self.shop.sends_logs and not await self._log(lines):
            return False
        self._sieve, self._flood = sieve, flood
        if not data:
            return False
        folder.record.forwarded += len(data)
        folder.save()
        return True

    async def _log(self, lines: list[str], *, level: str = "INFO", name: str = STDOUT) -> bool:
        """Send lines as logs of the run; returns whether the broker has them."""
        link, now = self.shop.link, utc_now()
        for start in range(0, len(lines), _BATCH_LINES):
            batch = wire.LogBatch(
                tenant_id=link.tenant_id,
                accepted=now,
                lines=[
                    wire.LogLine(
                        id=new_id(), flow_run_id=self.run.flow_run_id, timestamp=now, name=name,
                        level=level, message=line,
                    )
                    for line in lines[start : start + _BATCH_LINES]
                ],
            )  # fmt: skip
            try:
                await link.store(
                    wire.log_subject(link.tenant_id, self.run.flow_run_id),
                    batch.model_dump_json().encode(),
                    stream="LOGS",
                )
            except UnreachableError:
                return False
            self.shop.metrics.count("log_lines", len(batch.lines))
        return True

    async def ping(self) -> None:
        """Send pings for the run while its process lives."""
        if self.phase is not Phase.RUNNING or self.folder is None:
            return
        if not await self.shop.executor.is_alive(self.folder):
            return
        try:
            await self.shop.link.tell(
                wire.beat_subject(self.shop.link.tenant_id, self.run.flow_run_id)
            )
        except UnreachableError:
            return
        self.shop.metrics.count("pings")

    # stopping

    def obey(self, standing: Standing, *, now: float) -> None:
        """Act on the standing of the lease."""
        match standing:
            case Standing.LOST:
                self.shop.metrics.count("lost")
                self.stop(Reason.LOST)
            case Standing.CANCEL:
                self.stop(Reason.CANCELLED)
            case Standing.OVER:
                if self.over_since is None:
                    self.over_since = now
                elif now - self.over_since >= self.shop.kill_after():
                    self.stop(Reason.OVER)
            case Standing.HELD:
                self.over_since = None

    def stop(self, reason: Reason) -> None:
        """Stop the process, once. It is interrupted first, except when its run belongs to another attempt."""
        if self.phase is not Phase.RUNNING or self.folder is None:
            return
        if reason is Reason.LOST and self.reason is not Reason.LOST:
            if self._stopping is not None:
                self._stopping.cancel()
                self._stopping = None
        elif self._stopping is not None:
            return
        self.reason = reason
        if reason is Reason.CANCELLED:
            self.shop.metrics.count("cancelled")
        self.shop.say(f"{self.name}: stopping it, {reason}", flow_run_id=self.run.flow_run_id)
        self._stopping = asyncio.create_task(self._stop(self.folder), name="stop")

    async def _stop(self, folder: RunFolder) -> None:
        send = self.shop.executor.signal
        if self.reason is not Reason.LOST:
            half = self.shop.kill_after() / 2
            await send(folder, signal.SIGINT)  # Prefect cleans up and reports its last state
            await asyncio.sleep(half)
            await send(folder, signal.SIGTERM)
            await asyncio.sleep(half)
        await send(folder, signal.SIGKILL)

    # ending

    def _tell_end(self, code: int) -> None:
        noun = self.shop.executor.noun
        if code == 0:
            said, how = f"its {noun} ended", "ok"
        elif code == VANISHED:
            said, how = f"its {noun} has vanished", "vanished"
        elif code > 128:
            said, how = f"its {noun} was ended by signal {code - 128}", "signal"
        else:
            said, how = f"its {noun} ended with exit code {code}", "error"
        self.shop.metrics.exited(how)
        self.shop.say(f"{self.name}: {said}", flow_run_id=self.run.flow_run_id)

    async def _report_end(self, code: int) -> None:
        if code == VANISHED:
            await self._report(Outcome.VANISHED)
            return
        noun = self.shop.executor.noun
        message = f"The agent stopped its {noun}: {self.reason}." if self.reason else None
        await self._report(Outcome.EXITED, exit_code=code, message=message)

    async def _report(
        self, outcome: Outcome, *, exit_code: int | None = None, message: str | None = None
    ) -> None:
        """Report to the ledger until it answers. `lease_lost` is an answer too."""
        shop = self.shop
        if outcome is Outcome.RETURNED:
            shop.metrics.count("returned")
        while True:
            report = wire.Report(
                session=shop.session,
                agent_id=shop.agent_id(),
                flow_run_id=self.run.flow_run_id,
                lease_token=self.run.lease_token,
                outcome=outcome,
                exit_code=exit_code,
                message=message,
            )
            try:
                answer = await shop.link.ask("report", report, wire.Reported)
            except UnreachableError:
                await asyncio.sleep(_RETRY)
                continue
            if isinstance(answer, wire.Reported):
                shop.say(
                    f"{self.name} is {answer.state}",
                    flow_run_id=self.run.flow_run_id,
                    state=answer.state,
                )
            elif answer.code in ("unavailable", "busy"):
                await asyncio.sleep(_RETRY)
                continue
            return

    async def give_back(self, why: str) -> None:
        """Return the run, which was not started, for another agent."""
        await self._report(Outcome.RETURNED, message=why)

    async def _forward_rest(self) -> None:
        """Forward the rest of the output. It is given up after a while: a finished run must not keep its folder for
        ever."""
        deadline = _now() + _LAST_WORDS
        folder = self.folder
        while folder is not None and _now() < deadline:
            if await self._forward(is_last=True):
                continue
            if not folder.read_output(at=folder.record.forwarded, size=1):
                break
            await asyncio.sleep(LOOK)
        notices = self._flood.end()
        if notices and self.shop.sends_logs:
            await self._log(notices)


def _now() -> float:
    return asyncio.get_running_loop().time()
