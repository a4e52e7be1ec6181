"""The deadlines of requests, with one timer for all."""

import asyncio
from functools import partial
from typing import Any

import pytest

from libs.runtime.nats.deadlines import Deadlines
from tests.support.eventually import eventually


def _has(found: list[str], number: int) -> bool:
    return len(found) == number


async def late_within(*patiences: float) -> list[str]:
    """The tokens of requests with so many seconds, in the order in which their time was over."""
    late: list[str] = []
    deadlines = Deadlines(late.append)
    loop = asyncio.get_running_loop()
    for number, seconds in enumerate(patiences):
        deadlines.add(loop, seconds, f"{number}:{seconds}")
    await eventually(lambda: len(late) == len(patiences), timeout=20, pause=0.01)
    assert deadlines._timer is None
    return late


async def test_the_time_of_each_request_is_over_once() -> None:
    assert sorted(await late_within(*[0.1] * 50)) == sorted(f"{n}:0.1" for n in range(50))


class Time:
    """The clock and the timers of a loop: it goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any, *arguments: Any) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        self._timers.append(asyncio.TimerHandle(when, callback, arguments, loop))
        return self._timers[-1]

    def go_on_until(self, end: float) -> None:
        """Call what is due until then, one after the other."""
        while due := [each for each in self._timers if each.when() <= end]:
            first = min(due, key=asyncio.TimerHandle.when)
            self._timers.remove(first)
            if not first.cancelled():
                self.now = first.when()
                first._run()
        self.now = end


async def test_who_has_less_patience_does_not_wait_for_those_who_came_first() -> None:
    late: list[tuple[str, float]] = []
    time: Any = Time()
    deadlines = Deadlines(lambda token: late.append((token, time.now)))
    for seconds in (0.6, 0.3, 0.01):
        deadlines.add(time, seconds, f"{seconds} s")

    time.go_on_until(1.0)

    # The first a little late: one timer looks at all, and not at every moment.
    assert late == [("0.01 s", 0.05), ("0.3 s", 0.3), ("0.6 s", 0.6)]


@pytest.mark.parametrize("seconds", [0.01, 0.25])
async def test_no_time_is_over_too_early(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    await late_within(seconds)

    assert loop.time() - began >= seconds


async def test_a_deadline_that_comes_after_all_others_were_over_is_looked_at() -> None:
    late: list[str] = []
    deadlines = Deadlines(late.append)
    for number, token in enumerate(("first", "second"), start=1):
        deadlines.add(asyncio.get_running_loop(), 0.05, token)
        await eventually(partial(_has, late, number), timeout=20, pause=0.01)

    assert late == ["first", "second"]
