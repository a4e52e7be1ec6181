"""One thread for what would keep the event loop: documents that nobody has asked before, and large bodies.

Work in Python lets go of the interpreter every few milliseconds, so everybody else goes on meanwhile. One thread is
enough: two would not be faster, and would take more from the loop. Tenants use it by turns.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from services.gateway.shares import Owner, Shares

T = TypeVar("T")

_PATIENCE = 10.0  # seconds


class OffLoop:
    """Runs one function at a time beside the loop."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="off-loop")
        self._shares = Shares(
            "off_loop",
            1,
            of_tenant=1,
            of_key=1,
            patience=_PATIENCE,
            what="their documents to be read",
        )

    async def run(self, owner: Owner, work: Callable[[], T]) -> T:
        """What `work` returns or raises; BusyError when the turn does not come. `work` shares nothing with the loop."""
        async with self._shares.of(owner):
            running = asyncio.get_running_loop().run_in_executor(self._executor, work)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                # A thread cannot be stopped; the place is free when it has ended.
                await asyncio.wait([running])
                raise

    def close(self) -> None:
        """End the thread after what it does."""
        self._executor.shutdown(wait=False, cancel_futures=True)
