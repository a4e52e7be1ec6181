"""Loops: what ends one."""

import asyncio
from datetime import timedelta

from libs.runtime.loop import Loop


async def test_a_loop_ends_though_its_tick_tells_the_cancellation_as_a_failure() -> None:
    """As asyncpg does where the connection was lost: leaving the transaction raises in the cancellation's place."""
    ticking = asyncio.Event()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        ticks += 1
        ticking.set()
        try:
            await asyncio.Future()
        except asyncio.CancelledError:
            raise ConnectionResetError from None

    loop = Loop("test", interval=timedelta(0), tick=tick, service="test", start_after=timedelta(0))
    loop.start()
    await ticking.wait()

    async with asyncio.timeout(5):
        await loop.stop()

    assert ticks == 1
