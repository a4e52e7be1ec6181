"""The group commit, without a database: what joins a batch, what happens when one fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest

from libs.runtime import faults, trace
from libs.runtime import group_commit as commit_module
from libs.runtime.failures import is_outage
from libs.runtime.group_commit import Begin, GroupCommit, QueueFullError

Apply = Callable[[Sequence[int]], Awaitable[Sequence[int]]]


@asynccontextmanager
async def committing(
    apply: Apply,
    *,
    batch_limit: int = 100,
    queue_limit: int = 1000,
    lanes: int = 1,
    patience: float = 60.0,
    opening: float = 60.0,
    begin: Begin[int, int] | None = None,
    tracing: Any = None,
) -> AsyncIterator[GroupCommit[int, int]]:
    commit: GroupCommit[int, int] = GroupCommit(
        begin or (lambda: nullcontext(apply)),
        batch_limit=batch_limit,
        queue_limit=queue_limit,
        lanes=lanes,
        service="test",
        before_answer=faults.Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER,
        patience=patience,
        opening=opening,
        tracing=tracing,
    )
    commit.start()
    try:
        yield commit
    finally:
        await commit.stop()


class Recorder:
    """Applies nothing, remembers the batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def apply(self, commands: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(commands))
        self.entered.set()
        await self.gate.wait()
        return [command * 10 for command in commands]


async def test_a_lone_command_is_a_batch_of_its_own() -> None:
    recorder = Recorder()
    async with committing(recorder.apply) as commit:
        assert await commit.submit(1) == 10

    assert recorder.batches == [[1]]


async def test_what_arrives_during_a_transaction_becomes_the_next_one() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with committing(recorder.apply) as commit:
        first = asyncio.create_task(commit.submit(1))
        await recorder.entered.wait()
        others = [asyncio.create_task(commit.submit(n)) for n in (2, 3, 4)]
        await _until(lambda: commit.queued == 3)

        recorder.gate.set()
        answers = await asyncio.gather(first, *others)

    assert recorder.batches == [[1], [2, 3, 4]]
    assert answers == [10, 20, 30, 40]


async def test_what_has_waited_longer_than_its_caller_does_is_not_done() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with committing(recorder.apply) as commit:
        first = asyncio.create_task(commit.submit(1))
        await recorder.entered.wait()
        late = asyncio.create_task(commit.submit(2, weight=5))
        await _until(lambda: commit.queued == 5)
        # As if it had waited for a second more than the deadline.
        commit._deadline = -1.0
        recorder.gate.set()
        with pytest.raises(TimeoutError) as raised:
            await late
        commit._deadline = 60.0

        assert await commit.submit(3) == 30
        assert await first == 10
        assert commit.queued == 0

    assert is_outage(raised.value)
    assert recorder.batches == [[1], [3]]


async def test_a_transaction_that_is_held_up_does_not_hold_up_the_other_lane() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with committing(recorder.apply, lanes=2, patience=0.0) as commit:
        first = asyncio.create_task(commit.submit(1))
        await recorder.entered.wait()
        others = [asyncio.create_task(commit.submit(n)) for n in (2, 3)]
        await _until(lambda: len(recorder.batches) == 2)
        recorder.gate.set()
        await asyncio.gather(first, *others)

    assert recorder.batches == [[1], [2, 3]]


async def test_what_is_little_shares_one_transaction_though_a_lane_is_free() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with committing(recorder.apply, lanes=2) as commit:
        first = asyncio.create_task(commit.submit(1))
        await recorder.entered.wait()
        second = asyncio.create_task(commit.submit(2))
        await _until(lambda: commit.queued == 1)
        third = asyncio.create_task(commit.submit(3))
        await _until(lambda: commit.queued == 2)
        recorder.gate.set()
        await asyncio.gather(first, second, third)

    assert recorder.batches == [[1], [2, 3]]


async def test_what_arrives_while_the_transaction_opens_is_part_of_it() -> None:
    recorder = Recorder()
    opening = asyncio.Event()

    @asynccontextmanager
    async def begin() -> AsyncIterator[Apply]:
        await opening.wait()
        yield recorder.apply

    async with committing(recorder.apply, begin=begin) as commit:
        answers = [asyncio.create_task(commit.submit(n)) for n in (1, 2)]
        await _until(lambda: commit.queued == 2)
        answers.append(asyncio.create_task(commit.submit(3)))
        await _until(lambda: commit.queued == 3)
        opening.set()
        await asyncio.gather(*answers)

    assert recorder.batches == [[1, 2, 3]]


async def test_the_next_batch_is_written_while_a_commit_waits_for_the_disk() -> None:
    recorder = Recorder()
    disk = asyncio.Event()

    @asynccontextmanager
    async def begin() -> AsyncIterator[Apply]:
        yield recorder.apply
        await disk.wait()

    async with committing(recorder.apply, begin=begin, lanes=2) as commit:
        first = asyncio.create_task(commit.submit(1))
        await recorder.entered.wait()
        second = asyncio.create_task(commit.submit(2))
        await _until(lambda: len(recorder.batches) == 2)
        assert not first.done()
        disk.set()
        answers = [await first, await second]

    assert recorder.batches == [[1], [2]]
    assert answers == [10, 20]


async def test_nobody_is_answered_before_the_commit() -> None:
    recorder = Recorder()

    @asynccontextmanager
    async def begin() -> AsyncIterator[Apply]:
        yield recorder.apply
        raise ConnectionResetError

    async with committing(recorder.apply, begin=begin) as commit:
        [answer] = await asyncio.gather(commit.submit(1), return_exceptions=True)

    assert recorder.batches == [[1]]
    assert isinstance(answer, ConnectionResetError)


async def test_a_transaction_that_cannot_be_opened_fails_who_waits_and_nobody_after() -> None:
    recorder = Recorder()
    openings = iter((False, True))

    @asynccontextmanager
    async def begin() -> AsyncIterator[Apply]:
        if not next(openings):
            raise ConnectionRefusedError
        yield recorder.apply

    async with committing(recorder.apply, begin=begin) as commit:
        failed = await asyncio.gather(commit.submit(1), commit.submit(2), return_exceptions=True)
        answer = await commit.submit(3)

    assert all(isinstance(each, ConnectionRefusedError) for each in failed)
    assert (recorder.batches, answer) == ([[3]], 30)


class Openings:
    """Transactions of which the first `hanging` never open; what is committed is remembered."""

    def __init__(self, apply: Apply, *, hanging: int = 0) -> None:
        self._apply = apply
        self._hanging = hanging
        self.given_up = 0
        self.committed: list[list[int]] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Apply]:
        if self.given_up < self._hanging:
            try:
                await asyncio.Future()
            finally:
                self.given_up += 1
        written: list[list[int]] = []

        async def apply(commands: Sequence[int]) -> Sequence[int]:
            answers = await self._apply(commands)
            written.append(list(commands))
            return answers

        yield apply
        self.committed += written


async def test_a_transaction_that_hangs_while_it_opens_is_given_up_for_another_one() -> None:
    recorder = Recorder()
    openings = Openings(recorder.apply, hanging=1)

    async with committing(recorder.apply, begin=openings.begin, lanes=2, opening=0.02) as commit:
        answers = await asyncio.gather(commit.submit(1), commit.submit(2))

    assert [*answers] == [10, 20]
    assert openings.given_up == 1
    assert openings.committed == [[1, 2]]


async def test_when_no_transaction_opens_everybody_who_waits_is_told_and_nobody_after() -> None:
    recorder = Recorder()
    openings = Openings(recorder.apply, hanging=2)

    async with committing(
        recorder.apply, begin=openings.begin, lanes=2, opening=0.02, batch_limit=2
    ) as commit:
        failed = await asyncio.gather(*(commit.submit(n) for n in range(5)), return_exceptions=True)
        answer = await commit.submit(5)

    assert [type(each) for each in failed] == [TimeoutError] * 5
    assert (answer, openings.given_up) == (50, 2)
    assert openings.committed == [[5]]


async def test_a_batch_is_bounded_by_weight_but_never_empty() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with committing(recorder.apply, batch_limit=5) as commit:
        first = asyncio.create_task(commit.submit(0))
        await recorder.entered.wait()
        weights = [3, 2, 1, 9]
        others = [
            asyncio.create_task(commit.submit(n, weight=weight))
            for n, weight in enumerate(weights, start=1)
        ]
        await _until(lambda: commit.queued == sum(weights))
        recorder.gate.set()
        await asyncio.gather(first, *others)

    assert recorder.batches == [[0], [1, 2], [3], [4]]


async def test_a_full_queue_says_so_at_once() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with committing(recorder.apply, queue_limit=2) as commit:
        first = asyncio.create_task(commit.submit(1))
        await recorder.entered.wait()
        waiting = [asyncio.create_task(commit.submit(n)) for n in (2, 3)]
        await _until(lambda: commit.queued == 2)

        with pytest.raises(QueueFullError) as full:
            await commit.submit(4)

        recorder.gate.set()
        assert await asyncio.gather(first, *waiting) == [10, 20, 30]
    assert is_outage(full.value)  # so that a message whose turn does not come is not buried


async def test_one_bad_command_harms_no_neighbour() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    async def apply(commands: Sequence[int]) -> Sequence[int]:
        entered.set()
        await gate.wait()
        if 13 in commands:
            msg = "poison"
            raise ValueError(msg)
        return commands

    async with committing(apply) as commit:
        first = asyncio.create_task(commit.submit(0))
        await entered.wait()
        others = [asyncio.create_task(commit.submit(n)) for n in (1, 13, 2)]
        await _until(lambda: commit.queued == 3)
        gate.set()
        answers = await asyncio.gather(first, *others, return_exceptions=True)

    assert [answers[0], answers[1], answers[3]] == [0, 1, 2]
    assert isinstance(answers[2], ValueError)


async def test_a_batch_with_too_few_answers_is_rolled_back_and_its_commands_tried_alone() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    async def apply(commands: Sequence[int]) -> Sequence[int]:
        entered.set()
        await gate.wait()
        return commands[:1]

    openings = Openings(apply)
    async with committing(apply, begin=openings.begin) as commit:
        first = asyncio.create_task(commit.submit(0))
        await entered.wait()
        others = [asyncio.create_task(commit.submit(n)) for n in (1, 2)]
        await _until(lambda: commit.queued == 2)
        gate.set()
        answers = await asyncio.gather(first, *others)

    assert answers == [0, 1, 2]
    assert openings.committed == [[0], [1], [2]]


async def test_an_outage_while_commands_are_tried_alone_is_waited_for_once() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()
    batches: list[list[int]] = []

    async def apply(commands: Sequence[int]) -> Sequence[int]:
        batches.append(list(commands))
        entered.set()
        await gate.wait()
        if len(commands) > 1:
            raise ValueError
        if list(commands) == [2]:
            raise TimeoutError
        return commands

    async with committing(apply) as commit:
        first = asyncio.create_task(commit.submit(0))
        await entered.wait()
        others = [asyncio.create_task(commit.submit(n)) for n in (1, 2, 3)]
        await _until(lambda: commit.queued == 3)
        gate.set()
        answers = await asyncio.gather(first, *others, return_exceptions=True)

    assert batches == [[0], [1, 2, 3], [1], [2]]
    assert answers[:2] == [0, 1]
    assert [type(answer) for answer in answers[2:]] == [TimeoutError] * 2


async def test_an_outage_is_not_retried_because_the_batch_may_have_been_committed() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()
    batches: list[list[int]] = []

    async def apply(commands: Sequence[int]) -> Sequence[int]:
        batches.append(list(commands))
        entered.set()
        await gate.wait()
        if len(commands) > 1:
            raise ConnectionResetError
        return commands

    async with committing(apply) as commit:
        first = asyncio.create_task(commit.submit(0))
        await entered.wait()
        others = [asyncio.create_task(commit.submit(n)) for n in (1, 2)]
        await _until(lambda: commit.queued == 2)
        gate.set()
        answers = await asyncio.gather(first, *others, return_exceptions=True)

    assert batches == [[0], [1, 2]]
    assert answers[0] == 0
    assert all(isinstance(answer, ConnectionResetError) for answer in answers[1:])


async def test_callers_are_not_left_waiting_when_the_ledger_stops() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with committing(recorder.apply) as commit:
        first = asyncio.create_task(commit.submit(1))
        await recorder.entered.wait()
        second = asyncio.create_task(commit.submit(2))
        await _until(lambda: commit.queued == 1)

    answers = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(answer, ConnectionError) for answer in answers)


async def test_a_lane_ends_though_its_transaction_tells_the_cancellation_as_a_failure() -> None:
    """As asyncpg does where the connection was lost: leaving the transaction raises in the cancellation's place."""
    entered = asyncio.Event()

    async def apply(_commands: Sequence[int]) -> Sequence[int]:
        entered.set()
        try:
            await asyncio.Future()
        except asyncio.CancelledError:
            raise ConnectionResetError from None
        return []

    async with asyncio.timeout(5), committing(apply) as commit:
        waiting = asyncio.create_task(commit.submit(1))
        await entered.wait()

    with pytest.raises(ConnectionError):
        await waiting


async def test_a_lane_that_hangs_all_the_same_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commit_module, "_LAST_BATCH", 0.02)
    entered, over = asyncio.Event(), asyncio.Event()

    async def apply(commands: Sequence[int]) -> Sequence[int]:
        entered.set()
        try:
            await asyncio.Future()
        finally:
            await over.wait()
        return commands

    async with asyncio.timeout(5), committing(apply) as commit:
        waiting = asyncio.create_task(commit.submit(1))
        await entered.wait()

    over.set()
    with pytest.raises(ConnectionError):
        await waiting


async def test_who_comes_when_the_ledger_has_stopped_is_told_so_at_once() -> None:
    recorder = Recorder()
    async with committing(recorder.apply) as commit:
        pass

    with pytest.raises(ConnectionError):
        async with asyncio.timeout(1):
            await commit.submit(1)


async def test_who_waits_for_the_answer_of_a_committed_batch_is_told_when_the_ledger_stops() -> (
    None
):
    recorder = Recorder()
    committed = asyncio.Event()

    async def hold() -> None:
        committed.set()
        await asyncio.Future()

    faults.arm(faults.Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER, hold)
    try:
        async with committing(recorder.apply) as commit:
            waiting = asyncio.create_task(commit.submit(1))
            async with asyncio.timeout(10):
                await committed.wait()
    finally:
        faults.disarm()

    with pytest.raises(ConnectionError):
        async with asyncio.timeout(1):
            await waiting


async def _until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition holds; bounded."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)  # a yield, not a wait
    pytest.fail("the condition never held")


class Spans:
    """The spans that were begun: what each is within."""

    def __init__(self) -> None:
        self.begun: list[str | None] = []

    def span(self, _name: str, *, within: str | None, **_: Any) -> Any:
        self.begun.append(within)
        return nullcontext()


async def test_a_batch_that_nobody_asked_for_is_nobodys_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans = Spans()
    async with committing(Recorder().apply, tracing=spans) as commit:
        await commit.submit(1)  # as a loop does
        monkeypatch.setattr(trace, "current", lambda: "the caller's")
        await commit.submit(2)

    assert spans.begun == ["the caller's"]
