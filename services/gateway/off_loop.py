"""One thread for work that would block the event loop: new documents, and large bodies.

Work in Python lets go of the interpreter every half millisecond, so everybody else goes on meanwhile. One thread is
enough: two would not be faster, and would take more from the loop. Tenants use it by turns.
"""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from services.gateway.fair_queue import Owner
from services.gateway.shares import Shares

T = TypeVar("T")

_PATIENCE = 10.0  # seconds
_SWITCH_INTERVAL = 0.0005
"""Seconds that the thread keeps the interpreter while the loop wants it.

The loop lets go of it in each system call and each keyed hash, some ten times a request, and each time waits so long to
get it back. With Python's default of 5 ms one new document kept every other request waiting for 50 ms.
"""


class OffLoop:
    """Runs one function at a time in a thread."""

    def __init__(self) -> None:
        # Of the whole process; without a second thread that is busy it changes nothing.
        sys.setswitchinterval(_SWITCH_INTERVAL)
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
        """Returns or raises the result of `work`; BusyError when its turn does not come. `work` shares nothing with the
        loop."""
        async with self._shares.of(owner):
            running = asyncio.get_running_loop().run_in_executor(self._executor, work)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                # A thread cannot be stopped; the slot is free when it has ended.
                await asyncio.wait([running])
                raise

    def close(self) -> None:
        """End the thread after its current work."""
        self._executor.shutdown(wait=False, cancel_futures=True)
