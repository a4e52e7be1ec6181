"""Group commit: whatever arrives while a transaction runs becomes the next transaction (design.md section 4).

A lone command starts at once. Under load the batches grow by themselves, because a transaction takes longer than the
commands need to arrive. A transaction costs the same for one command as for ten, so a batch waits for company where
that delays nobody: while more commands come in with every turn of the event loop, and while another lane's transaction
is on its way and little has gathered (for `PATIENCE` at most, as that one may be held up by a lock). A lane is one
transaction at a time; two lanes let one full batch be decoded while PostgreSQL commits the other.

* Bounded: a command that finds the queue full is told to try again, at once.
* One bad command harms nobody: when a batch fails and is known to be rolled back, its commands are tried one by one.
* An outage is not retried here: after a lost connection nobody knows whether the batch was committed, and applying it
  twice would be worse than telling the callers so.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from libs.runtime import faults, log, metrics, trace
from libs.runtime.failures import is_outage
from libs.runtime.trace import Tracing

PATIENCE = 0.01
"""Seconds; about two transactions. Longer, and one that waits for a lock would hold up commands that need not."""

Command = TypeVar("Command")
Answer = TypeVar("Answer")


class QueueFullError(Exception):
    """The ledger has more waiting than it will answer in time; the caller may try again."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Command, Answer]):
    command: Command
    weight: int
    answer: "asyncio.Future[Answer]"
    traceparent: str | None
    """The trace that the command belongs to; None when traces are off."""


class GroupCommit(Generic[Command, Answer]):
    """Gathers commands and hands them to `apply`, which answers each, in order, from one committed transaction."""

    def __init__(
        self,
        apply: Callable[[Sequence[Command]], Awaitable[Sequence[Answer]]],
        *,
        batch_limit: int,
        queue_limit: int,
        lanes: int,
        service: str,
        tracing: Tracing | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._apply = apply
        self._patience = patience
        self._tracing = tracing
        self._batch_limit = batch_limit
        self._worth = max(1, batch_limit // 8)
        self._queue_limit = queue_limit
        self._lane_count = lanes
        self._log = log.get(service)
        self._name = service
        self._queue: deque[_Waiting[Command, Answer]] = deque()
        self._queued = 0
        self._arrived = asyncio.Event()
        self._applying = 0
        self._finished = asyncio.Event()
        self._lanes: list[asyncio.Task[None]] = []
        self.batches = 0
        self.commands = 0

    def start(self) -> None:
        """Open the lanes."""
        self._lanes = [
            asyncio.create_task(self._lane(), name=f"group-commit:{number}")
            for number in range(self._lane_count)
        ]

    async def stop(self) -> None:
        """Close the lanes. A batch in progress is rolled back; who still waits is told (the bus has drained before)."""
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        self._lanes = []
        _fail(list(self._queue), ConnectionError("the ledger is stopping"))
        self._queue.clear()
        self._queued = 0

    @property
    def queued(self) -> int:
        """How much waits, in weights."""
        return self._queued

    async def submit(self, command: Command, *, weight: int = 1) -> Answer:
        """The command's answer, once its transaction has committed. Raises QueueFullError, or what the batch raised."""
        if self._queued and self._queued + weight > self._queue_limit:
            raise QueueFullError
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(command, weight, answer, trace.current()))
        self._queued += weight
        self._arrived.set()
        if self._queued >= self._worth:
            self._finished.set()  # enough for a transaction beside the one on its way
        return await answer

    async def _lane(self) -> None:
        while True:
            while not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
            await self._gather()
            if self._queue:
                await self._commit(self._take())

    async def _gather(self) -> None:
        """Wait for more commands to share the transaction, as long as that delays nobody."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while self._queued < self._worth and loop.time() < until:
            if self._applying:
                self._finished.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._finished.wait()
            seen = self._queued
            await asyncio.sleep(0)
            if self._queued == seen and not self._applying:
                return

    def _take(self) -> list[_Waiting[Command, Answer]]:
        batch = [self._queue.popleft()]
        weight = batch[0].weight
        while self._queue and weight + self._queue[0].weight <= self._batch_limit:
            batch.append(self._queue.popleft())
            weight += batch[-1].weight
        self._queued -= weight
        return batch

    async def _commit(self, batch: list[_Waiting[Command, Answer]]) -> None:
        self._applying += 1
        try:
            await self._try(batch)
        except asyncio.CancelledError:
            _fail(batch, ConnectionError("the ledger is stopping"))
            raise
        finally:
            self._applying -= 1
            self._finished.set()

    async def _try(self, batch: list[_Waiting[Command, Answer]]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answers = await self._applied(batch)
        except Exception as error:
            if len(batch) == 1 or is_outage(error):
                _fail(batch, error)
                return
            self._log.warning("batch_split", size=len(batch), error=str(error))
            for waiting in batch:
                await self._try([waiting])
            return
        self.batches += 1
        self.commands += len(batch)
        metrics.COMMIT_SIZE.labels(self._name).observe(len(batch))
        metrics.COMMIT_SECONDS.labels(self._name).observe(loop.time() - began)
        try:
            await faults.reached(faults.Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER)
        except Exception as error:
            _fail(batch, error)
            return
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    async def _applied(self, batch: list[_Waiting[Command, Answer]]) -> Sequence[Answer]:
        """Apply the batch, in a span below the first command's that is linked to all commands it carries."""
        commands = [waiting.command for waiting in batch]
        if self._tracing is None:
            return await self._apply(commands)
        causes = [w.traceparent for w in batch if w.traceparent is not None]
        with self._tracing.span(
            "group commit",
            within=causes[0] if causes else None,
            links=causes,
            attributes={"headwater.commands": len(batch)},
        ):
            return await self._apply(commands)


def _fail(batch: Sequence[_Waiting[Command, Answer]], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
