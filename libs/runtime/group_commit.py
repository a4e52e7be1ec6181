"""Group commit: the commands that arrive while a transaction runs become the next transaction (ARCHITECTURE.md).

A lone command starts at once. Under load the batches grow by themselves, because a transaction takes longer than the
commands need to arrive. A transaction costs the same for one command as for ten, so a batch waits for more commands
when that delays none of them: while more commands come in with every turn of the event loop, and while another lane's
transaction is being written and little has gathered (for `PATIENCE` at most, as that one may be held up by a lock). A
lane is one transaction at a time. With two, one batch is gathered in a transaction that is already open while the other
is written, and written while the other one's commit waits for the disk.

* Bounded: a command that finds the queue full is refused at once, and may be tried again. One that has waited for its
  transaction longer than its caller does is not done any more: the caller was told that it is not, and may have asked
  for the same anew.
* One bad command does not harm the others: when a batch fails and is known to be rolled back, its commands are tried
  one by one.
* An outage is not retried here: after a lost connection it is unknown whether the batch was committed. Applying it
  twice would be worse than an error for the callers.
* A connection that hangs while a transaction is opened is given up for another one, since nothing has been written. It
  would hold up all lanes otherwise: only one of them gathers at a time.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from libs.runtime import faults, log, metrics, trace
from libs.runtime.failures import BusyError, is_outage
from libs.runtime.trace import Tracing

PATIENCE = 0.01
"""Seconds; about two transactions. If longer, a transaction that waits for a lock would delay commands that need not
wait."""
OPENING = 3.0
"""Seconds in which a transaction must open, twice; then the waiting callers get the error. They leave after 10 s."""
_LAST_BATCH = 5.0
"""Seconds for a cancelled batch; without an answer to its cancellation asyncpg waits for thirty."""

Command = TypeVar("Command")
Answer = TypeVar("Answer")


class QueueFullError(BusyError):
    """The queue is longer than can be served in time; the caller may retry."""


# Not frozen: to make a frozen one takes three times as long, and there is one for each command.
@dataclass(slots=True)
class _Submitted(Generic[Command, Answer]):
    command: Command
    weight: int
    answer: "asyncio.Future[Answer]"
    at: float
    """The loop's time."""
    traceparent: str | None
    """The trace that the command belongs to; None when traces are off."""


Apply = Callable[[Sequence[Command]], Awaitable[Sequence[Answer]]]
Begin = Callable[[], AbstractAsyncContextManager[Apply[Command, Answer]]]
"""Opens a transaction and gives the function that applies commands in it: an answer for each, in order. Leaving it
commits.

Opening may be cancelled, and must then leave no lock or connection behind.
"""


class GroupCommit(Generic[Command, Answer]):
    """Gathers commands and answers each from one committed transaction.

    `before_answer` is a point where a test can kill the process, committed and not answered. `fail_together`: an outage
    is the answer to everything that waits, where each batch in turn would only wait for the same time-out. `deadline`:
    seconds after which a command that still waits gets a TimeoutError instead.
    """

    def __init__(
        self,
        begin: Begin[Command, Answer],
        *,
        batch_limit: int,
        queue_limit: int,
        lanes: int,
        service: str,
        before_answer: faults.Point | None = None,
        fail_together: bool = False,
        deadline: float = inf,
        tracing: Tracing | None = None,
        patience: float = PATIENCE,
        opening: float = OPENING,
    ) -> None:
        self._begin = begin
        self._patience = patience
        self._opening = opening
        self._before_answer = before_answer
        self._fail_together = fail_together
        self._deadline = deadline
        self._tracing = tracing
        self._batch_limit = batch_limit
        self._worth = max(1, batch_limit // 8)
        self._queue_limit = queue_limit
        self._lane_count = lanes
        self._log = log.get(service)
        self._name = service
        self._queue: deque[_Submitted[Command, Answer]] = deque()
        self._queued = 0
        self._arrived = asyncio.Event()
        # Held by the lane that gathers.
        self._turn = asyncio.Lock()
        self._writing = 0
        self._written = asyncio.Event()
        self._stopping = False
        self._lanes: list[asyncio.Task[None]] = []
        self.batches = 0
        self.commands = 0

    def start(self) -> None:
        """Open the lanes."""
        self._stopping = False
        self._lanes = [
            asyncio.create_task(self._lane(), name=f"group-commit:{number}")
            for number in range(self._lane_count)
        ]

    async def stop(self) -> None:
        """Close the lanes. A batch in progress is rolled back; waiting callers get an error."""
        self._stopping = True
        for lane in self._lanes:
            lane.cancel()
        if self._lanes:
            # On a server that does not answer they end with their connections.
            await asyncio.wait(self._lanes, timeout=_LAST_BATCH)
        self._lanes = []
        _fail(self._take_all(), _stopping())

    @property
    def queued(self) -> int:
        """The sum of the weights of waiting commands."""
        return self._queued

    async def submit(self, command: Command, *, weight: int = 1) -> Answer:
        """The command's answer, once its transaction has committed.

        Raises QueueFullError, TimeoutError after the deadline, what the batch raised, or ConnectionError of lanes that
        are being closed.
        """
        if self._stopping:
            raise _stopping()
        if self._queued and self._queued + weight > self._queue_limit:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._queue.append(_Submitted(command, weight, answer, loop.time(), trace.current()))
        self._queued += weight
        self._arrived.set()
        if self._queued >= self._worth:
            # Enough for a transaction beside the one that runs.
            self._written.set()
        return await answer

    async def _lane(self) -> None:
        loop = asyncio.get_running_loop()
        # Not `while True`: asyncpg may report the cancellation of a lane as a failure of the cancelled statement.
        while not self._stopping:
            batch: list[_Submitted[Command, Answer]] = []
            try:
                with ExitStack() as traced:
                    async with AsyncExitStack() as transaction:
                        async with self._turn:
                            while not self._queue:
                                self._arrived.clear()
                                await self._arrived.wait()
                            # Opened before the batch is closed: commands that arrive during this round trip still join
                            # it.
                            apply = await self._open(transaction)
                            await self._gather()
                            batch = self._take()
                        if not batch:
                            continue
                        began = loop.time()
                        traced.enter_context(self._span(batch))
                        answers = await self._write(apply, batch)
            except asyncio.CancelledError:
                _fail(batch, _stopping())
                raise
            except Exception as error:
                # Without a transaction no waiting command can be served; later they would get the same error.
                await self._recover(batch or self._take_all(), error)
            else:
                await self._committed(batch, answers, seconds=loop.time() - began)

    async def _open(self, transaction: AsyncExitStack) -> Apply[Command, Answer]:
        """Begin within `opening` seconds, at the second attempt at the latest; TimeoutError when neither succeeds."""
        try:
            return await self._try_to_open(transaction)
        except TimeoutError:
            self._log.warning("transaction_hangs", seconds=self._opening)
            return await self._try_to_open(transaction)

    async def _try_to_open(self, transaction: AsyncExitStack) -> Apply[Command, Answer]:
        async with asyncio.timeout(self._opening):
            return await transaction.enter_async_context(self._begin())

    async def _gather(self) -> None:
        """Wait for more commands to share the transaction, as long as that delays nobody."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while self._queued < self._worth and loop.time() < until:
            if self._writing:
                self._written.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._written.wait()
                continue
            seen = self._queued
            await asyncio.sleep(0)
            if self._queued == seen:
                return

    def _take(self) -> list[_Submitted[Command, Answer]]:
        """The next batch; nothing when all that waited was too late."""
        self._drop_late(asyncio.get_running_loop().time() - self._deadline)
        batch: list[_Submitted[Command, Answer]] = []
        weight = 0
        while self._queue and (not batch or weight + self._queue[0].weight <= self._batch_limit):
            batch.append(self._queue.popleft())
            weight += batch[-1].weight
        self._queued -= weight
        return batch

    def _drop_late(self, before: float) -> None:
        """Refuse what came before then. Once for each batch, so that no command needs a timer."""
        late: list[_Submitted[Command, Answer]] = []
        while self._queue and self._queue[0].at < before:
            late.append(self._queue.popleft())
            self._queued -= late[-1].weight
        if late:
            self._log.warning("commands_too_late", count=len(late), seconds=self._deadline)
            _fail(late, TimeoutError("it waited for its transaction for too long"))

    def _take_all(self) -> list[_Submitted[Command, Answer]]:
        waiting = list(self._queue)
        self._queue.clear()
        self._queued = 0
        return waiting

    async def _write(
        self, apply: Apply[Command, Answer], batch: list[_Submitted[Command, Answer]]
    ) -> Sequence[Answer]:
        """Do everything but the commit."""
        self._writing += 1
        try:
            answers = await apply([waiting.command for waiting in batch])
        finally:
            self._writing -= 1
            self._written.set()
        if len(answers) != len(batch):
            # An error seen here means rolled back. Seen only while answering, it would be taken for a rollback and the
            # batch applied again.
            msg = f"{len(batch)} commands got {len(answers)} answers"
            raise RuntimeError(msg)
        return answers

    async def _recover(self, batch: list[_Submitted[Command, Answer]], error: Exception) -> None:
        """After a rollback each command of the batch gets its own transaction, and its own error if it fails."""
        if is_outage(error) and self._fail_together:
            batch = [*batch, *self._take_all()]
        if len(batch) <= 1 or is_outage(error):
            _fail(batch, error)
            return
        self._log.warning("batch_committed_one_by_one", size=len(batch), error=str(error))
        loop = asyncio.get_running_loop()
        for index, waiting in enumerate(batch):
            began = loop.time()
            try:
                with self._span([waiting]):
                    async with AsyncExitStack() as transaction:
                        answers = await self._write(await self._open(transaction), [waiting])
                await self._committed([waiting], answers, seconds=loop.time() - began)
            except asyncio.CancelledError:
                _fail(batch[index:], _stopping())
                raise
            except Exception as own:
                if is_outage(own):
                    _fail(batch[index:], own)  # each of the rest would wait for it in turn
                    return
                _fail([waiting], own)

    async def _committed(
        self,
        batch: list[_Submitted[Command, Answer]],
        answers: Sequence[Answer],
        *,
        seconds: float,
    ) -> None:
        """Count and answer. Raises nothing that could be taken for the failure of a batch."""
        self.batches += 1
        self.commands += len(batch)
        metrics.COMMIT_SIZE.labels(self._name).observe(len(batch))
        metrics.COMMIT_SECONDS.labels(self._name).observe(seconds)
        try:
            if self._before_answer is not None:
                await faults.reached(self._before_answer)
        except asyncio.CancelledError:
            _fail(batch, _stopping())
            raise
        except Exception as error:
            _fail(batch, error)
            return
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    def _span(self, batch: list[_Submitted[Command, Answer]]) -> AbstractContextManager[object]:
        """A span below the first command's span, linked to the spans of all commands of the batch.

        None for a batch from a service's own loops: they belong to no trace.
        """
        causes = [w.traceparent for w in batch if w.traceparent is not None]
        if self._tracing is None or not causes:
            return nullcontext()
        return self._tracing.span(
            "group commit",
            within=causes[0],
            links=causes,
            attributes={"headwater.commands": len(batch)},
        )


def _fail(batch: Sequence[_Submitted[Command, Answer]], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)


def _stopping() -> ConnectionError:
    return ConnectionError("the service is stopping")
