"""A service as a process of its own, to be killed, told to stop, or traced."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ports import free_port

_ROOT = Path(__file__).parents[2]
_PEPPER = "a pepper for tests"
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True, kw_only=True)
class ServiceProcess:
    """`python -m services.<name>`, started again after each kill as a supervisor would."""

    stack: Stack
    name: str = "runs"
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    process: Process | None = None

    async def start(self, **environment: str) -> None:
        """Start it; `environment` holds for this start only."""
        output = self.log.open("ab") if self.log is not None else None
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{self.name}",
                cwd=_ROOT,
                env=os.environ
                | {
                    "HEADWATER_POSTGRES_URL": self.stack.postgres_url(self.name),
                    "HEADWATER_NATS_URL": self.stack.nats_url,
                }
                | dict(self.environment)
                | environment,
                stdout=DEVNULL if output is None else output,
                stderr=DEVNULL if output is None else output,
            )
        finally:
            if output is not None:
                output.close()

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
async def service_process(
    stack: Stack, name: str, environment: Mapping[str, str], *, log: Path | None = None
) -> AsyncIterator[ServiceProcess]:
    """A started service process, gone at the end."""
    process = ServiceProcess(stack=stack, name=name, environment=environment, log=log)
    await process.start()
    try:
        yield process
    finally:
        await process.kill()


@asynccontextmanager
async def ledger_process(stack: Stack, **environment: str) -> AsyncIterator[ServiceProcess]:
    """A started ledger, gone at the end."""
    async with service_process(stack, "runs", environment) as process:
        yield process


@asynccontextmanager
async def gateway_process(
    stack: Stack, environment: Mapping[str, str] = _NOTHING, *, log: Path | None = None
) -> AsyncIterator[tuple[ServiceProcess, str]]:
    """A gateway that listens, and its URL; gone at the end. Without keys unless `environment` wants them."""
    port = free_port()
    settings = {
        "HEADWATER_READER_POSTGRES_URL": stack.postgres_url("reader"),
        "HEADWATER_KEY_PEPPER": _PEPPER,
        "HEADWATER_AUTH": "off",
        "HEADWATER_PORT": str(port),
    }
    async with service_process(stack, "gateway", {**settings, **environment}, log=log) as process:
        await eventually(lambda: listens(port), timeout=60)
        yield process, f"http://127.0.0.1:{port}"


async def listens(port: int) -> bool:
    """Whether somebody does at this port of the loopback address."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return True
