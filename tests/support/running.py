"""A service around a test: started before, stopped after."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from libs.runtime.service import Service

AnyService = TypeVar("AnyService", bound=Service)
_NEVER = 86_400.0  # seconds


@asynccontextmanager
async def running(service: AnyService, *, ticks: bool = True) -> AsyncIterator[AnyService]:
    """Start and stop the service. Where it is not to tick, its loops wait: the test calls what they would."""
    if not ticks:
        for loop in service.loops:
            loop._start_after = _NEVER
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
