"""A service around a test: started before, stopped after."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TypeVar

from libs.runtime.service import Service

AnyService = TypeVar("AnyService", bound=Service)
_NEVER = 86_400.0  # seconds


@asynccontextmanager
async def running(
    service: AnyService, *, ticks: bool = True, held: Collection[str] = ()
) -> AsyncIterator[AnyService]:
    """Start and stop the service.

    A loop ticks soon after the start, whatever its interval is. So a test that calls a tick and counts what it did
    holds that loop: the ones named in `held`, or all of them where nothing `ticks`.
    """
    unknown = set(held) - {loop.name for loop in service.loops}
    assert not unknown, f"{service.name} has no loop {sorted(unknown)}"
    for loop in service.loops:
        if not ticks or loop.name in held:
            loop._start_after = _NEVER
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
