"""The one poller of the tests: wait until something is true, and say what was seen last if it never is."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

_PAUSE = 0.02  # seconds


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]],
    *,
    timeout: float = ...,  # noqa: ASYNC109 - as below
    pause: float = ...,
) -> T: ...


@overload
async def eventually(
    probe: Callable[[], T],
    *,
    timeout: float = ...,  # noqa: ASYNC109 - as below
    pause: float = ...,
) -> T: ...


async def eventually(
    probe: Callable[[], Any],
    *,
    timeout: float = 30.0,  # noqa: ASYNC109 - the failure names what was seen last, which a cancellation could not
    pause: float = _PAUSE,
) -> Any:
    """Call `probe` until it answers something true and does not raise; that answer.

    A probe asserts or answers; what it raised or answered last is in the failure. A longer
    `pause` leaves the cores to what is waited for, when the probe itself is work.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        cause: Exception | None = None
        try:
            found = probe()
            answer = await found if inspect.isawaitable(found) else found
        except Exception as error:
            seen, cause = f"it raised {type(error).__name__}: {error}", error
        else:
            if answer:
                return answer
            seen = f"it answered {answer!r}"
        if loop.time() > deadline:
            msg = f"not within {timeout} s; at the last look {seen}"
            raise AssertionError(msg) from cause
        await asyncio.sleep(pause)
