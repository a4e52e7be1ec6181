"""The group commit, without a database: what joins a batch, what happens when one fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext

import pytest

from services.runs.commit import Begin, GroupCommit, QueueFullError

Apply = Callable[[Sequence[int]], Awaitable[Sequence[int]]]


@asynccontextmanager
async def committing(
    apply: Apply,
    *,
    batch_limit: int = 100,
    queue_limit: int = 1000,
    lanes: int = 1,
    patience: float = 60.0,
    begin: Begin[int, int] | None = None,
) -> AsyncIterator[GroupCommit[int, int]]:
    commit: GroupCommit[int, int] = GroupCommit(
        begin or (lambda: nullcontext(apply)),
        batch_limit=batch_limit,
        queue_limit=queue_limit,
        lanes=lanes,
        service="test",
        patience=patience,
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

        with pytest.raises(QueueFullError):
            await commit.submit(4)

        recorder.gate.set()
        assert await asyncio.gather(first, *waiting) == [10, 20, 30]


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


async def _until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition holds; bounded."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)  # a yield, not a wait
    pytest.fail("the condition never held")
