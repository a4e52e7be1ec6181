"""The ledger as a process of its own, to be killed."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.engines import Stack

_ROOT = Path(__file__).parents[2]


@dataclass(slots=True, kw_only=True)
class LedgerProcess:
    """`python -m services.runs`, started again after each kill as a supervisor would."""

    stack: Stack
    environment: Mapping[str, str] = field(default_factory=dict)
    process: Process | None = None

    async def start(self, **environment: str) -> None:
        """Start it; `environment` holds for this start only."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.runs",
            cwd=_ROOT,
            env=os.environ
            | {
                "HEADWATER_POSTGRES_URL": self.stack.postgres_url("runs"),
                "HEADWATER_NATS_URL": self.stack.nats_url,
            }
            | dict(self.environment)
            | environment,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )

    async def ended(self) -> int:
        """Wait until it is gone; its exit code."""
        assert self.process is not None
        return await self.process.wait()

    async def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def ledger_process(stack: Stack, **environment: str) -> AsyncIterator[LedgerProcess]:
    """A started ledger process, gone at the end."""
    process = LedgerProcess(stack=stack, environment=environment)
    await process.start()
    try:
        yield process
    finally:
        await process.kill()
