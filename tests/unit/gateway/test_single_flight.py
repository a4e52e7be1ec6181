"""What many ask at once is looked up once."""

import asyncio

import pytest

from services.gateway.single_flight import SingleFlight


class _Slow:
    """A look-up that waits until it may answer."""

    def __init__(self) -> None:
        self.count = 0
        self.may_answer = asyncio.Event()

    async def __call__(self) -> int:
        self.count += 1
        mine = self.count
        await self.may_answer.wait()
        return mine


async def _begun(looks: SingleFlight[str, int], slow: _Slow, many: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(looks.ask("key", slow)) for _ in range(many)]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_a_hundred_who_ask_at_once_have_one_look_up() -> None:
    looks, slow = SingleFlight[str, int](), _Slow()
    tasks = await _begun(looks, slow, 100)
    slow.may_answer.set()
    assert await asyncio.gather(*tasks) == [1] * 100
    assert await looks.ask("key", slow) == 2


async def test_who_is_cancelled_takes_nothing_from_the_others() -> None:
    looks, slow = SingleFlight[str, int](), _Slow()
    first, second = await _begun(looks, slow, 2)
    first.cancel()
    slow.may_answer.set()
    assert await second == 1
    assert first.cancelled()


async def test_all_hear_of_an_error_and_the_next_asks_again() -> None:
    looks, slow = SingleFlight[str, int](), _Slow()

    async def fails() -> int:
        await slow()
        raise ConnectionError

    tasks = [asyncio.create_task(looks.ask("key", fails)) for _ in range(2)]
    slow.may_answer.set()
    for task in tasks:
        with pytest.raises(ConnectionError):
            await task
    assert await looks.ask("key", slow) == 2


async def test_after_forget_nobody_gets_what_was_read_before() -> None:
    looks, slow = SingleFlight[str, int](), _Slow()
    [early] = await _begun(looks, slow, 1)
    looks.forget()
    [late] = await _begun(looks, slow, 1)
    slow.may_answer.set()
    assert (await early, await late) == (1, 2)
