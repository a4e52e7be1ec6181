"""Loops: what ends one."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from libs.runtime import loop as loop_module
from libs.runtime.loop import Loop


def ticking(tick: Callable[[], Awaitable[None]]) -> Loop:
    """A loop that has been started."""
    at_once = timedelta(0)
    loop = Loop("test", interval=at_once, tick=tick, service="test", start_after=at_once)
    loop.start()
    return loop


async def test_a_loop_ends_though_its_tick_tells_the_cancellation_as_a_failure() -> None:
    """As asyncpg does where the connection was lost: leaving the transaction raises in the cancellation's place."""
    begun = asyncio.Event()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        ticks += 1
        begun.set()
        try:
            await asyncio.Future()
        except asyncio.CancelledError:
            raise ConnectionResetError from None

    loop = ticking(tick)
    await begun.wait()

    async with asyncio.timeout(5):
        await loop.stop()

    assert loop.failures == 0
    assert ticks == 1


async def test_a_tick_that_hangs_all_the_same_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_module, "_LAST_TICK", 0.02)
    begun, cancelled, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def tick() -> None:
        begun.set()
        try:
            await asyncio.Future()
        finally:
            cancelled.set()
            await over.wait()

    loop = ticking(tick)
    await begun.wait()

    async with asyncio.timeout(5):
        await loop.stop()

    assert cancelled.is_set()
    over.set()
