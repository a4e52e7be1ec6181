"""headwater-agent as a process, with something in place of Prefect: a shell that does what the run's config says."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.support.eventually import eventually

# Asked for its version it is Prefect 1.4.1. Asked to run a flow it notes that, and does what $SCRIPT says.
_FAKE = """\
#!/bin/sh
if [ "$1" = "-c" ]; then echo 1.4.1; exit 0; fi
echo "$PREFECT__CONTEXT__FLOW_RUN_ID $$" >> "{starts}"
eval "$SCRIPT"
"""

PATIENCE = 60.0
"""Seconds; an agent starts processes, beside others that do. Only a failure waits so long."""


def does(script: str) -> dict[str, Any]:
    """The run config of a run whose process does this."""
    return {"type": "UniversalRun", "env": {"SCRIPT": script}}


def waits_for(file: Path) -> str:
    """A script that ends once the file is there, however long the test takes until then."""
    return f"while [ ! -e '{file}' ]; do sleep 0.05; done"


@dataclass(slots=True, kw_only=True)
class AgentProcess:
    """A running agent; `folder` holds its log, its state, and what was started."""

    folder: Path
    command: list[str]
    process: Process | None = None

    @property
    def running(self) -> Process:
        assert self.process is not None, "the agent was not started"
        return self.process

    async def start(self) -> None:
        """Start it, and return when it is ready for runs; one that gives up fails with what it said."""
        before = self.said().count("ready for")
        await self.spawn()

        def is_settled() -> bool:
            is_ready = self.said().count("ready for") > before
            return is_ready or self.running.returncode is not None

        await eventually(is_settled, timeout=PATIENCE)
        assert self.running.returncode is None, self.said()

    async def spawn(self) -> None:
        """Start it, ready or not."""
        with (self.folder / "agent.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                stdout=log,
                stderr=STDOUT,
                env=os.environ | {"HOME": str(self.folder)},
            )

    def signal(self, number: signal.Signals) -> None:
        """Send the agent a signal."""
        self.running.send_signal(number)

    async def kill(self) -> None:
        """kill -9 of the agent alone."""
        self.running.kill()
        await self.running.wait()

    async def gone(self, *, within: float = 60.0) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.wait_for(self.running.wait(), within)

    def said(self) -> str:
        """What it has said so far."""
        path = self.folder / "agent.log"
        return path.read_text() if path.exists() else ""

    def started(self) -> list[str]:
        """Ids of the runs whose process was started, in order."""
        return [line.split()[0] for line in self._starts()]

    def pids(self) -> list[int]:
        """Of the processes."""
        return [int(line.split()[1]) for line in self._starts()]

    async def has_started(self, run_id: UUID, *, times: int = 1) -> None:
        """Wait until the run's process was started so often."""
        await eventually(lambda: self.started().count(str(run_id)) >= times, timeout=PATIENCE)

    async def has_said(self, text: str) -> None:
        """Wait until it says so."""
        await eventually(lambda: text in self.said() or self._fail(text), timeout=PATIENCE)

    def _starts(self) -> list[str]:
        path = self.folder / "starts"
        return path.read_text().splitlines() if path.exists() else []

    def _fail(self, text: str) -> bool:
        msg = f"it never said {text!r}, but:\n{self.said()}"
        raise AssertionError(msg)


@asynccontextmanager
async def agent_process(
    folder: Path,
    nats_url: str | None,
    tenant_id: UUID | None,
    *arguments: str,
    program: str = _FAKE,
    gets_ready: bool = True,
) -> AsyncIterator[AgentProcess]:
    """A started agent without labels; it and its processes are gone afterwards.

    `program` stands in for the interpreter with Prefect; `{starts}` in it is where `started` looks. Without a tenant
    or an address of NATS the agent asks the API for it. One that `gets_ready` is ready when this returns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fake = folder / "python"
    fake.write_text(program.format(starts=folder / "starts"))
    fake.chmod(0o755)
    agent = AgentProcess(
        folder=folder,
        command=[
            *(sys.executable, "-m", "libs.agent", "start"),
            *(() if nats_url is None else ("--nats", nats_url)),
            *("--api", "http://127.0.0.1:1", "--python", str(fake)),
            *(() if tenant_id is None else ("--tenant", str(tenant_id))),
            *("--state", str(folder / "state"), "--no-hostname-label", *arguments),
        ],
    )
    try:
        await (agent.start() if gets_ready else agent.spawn())
        yield agent
    finally:
        if agent.running.returncode is None:
            with suppress(ProcessLookupError):
                agent.running.kill()
            await agent.running.wait()
        for path in (folder / "state").glob("runs/*/pid"):
            with suppress(ProcessLookupError, ValueError):
                os.killpg(int(path.read_text()), signal.SIGKILL)
