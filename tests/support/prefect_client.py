"""The real `prefect` package, unmodified, in its own environment, driven from a test.

Its environment comes from `deploy.clients` and is made when it is not there yet, so the suite
runs on a fresh machine. Every client has a home folder of its own in place of ~/.prefect.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import textwrap
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.clients import install
from deploy.clients.surroundings import variables
from tests.support.ports import free_port

# A snippet reports its result with answer(...); the marker tells it from what prefect prints.
MARKER = "@answer "

PATIENCE = 180.0
"""Seconds; a command imports all of Prefect, beside others that do. Only a failure waits so long."""

PREAMBLE = f"""\
import json as _json


def answer(value):
    print("\\n{MARKER}" + _json.dumps(value, default=str))


"""


class ClientFailedError(AssertionError):
    """A client command ended with an exit code that the test did not expect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that came to its end."""

    code: int
    output: str


@dataclass(slots=True, kw_only=True)
class PrefectClient:
    """One user's machine: a client installation, a home folder, and the API it points at."""

    environment: install.Environment
    url: str
    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    """PREFECT__ variables beyond the address, as a user would export them."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @classmethod
    async def installed(
        cls, version: str, *, url: str, home: Path, **settings: str
    ) -> PrefectClient:
        """A client of that version, installing it first if this machine has none: minutes, where others are busy, in
        which the loop of the test must go on."""
        environment = await asyncio.to_thread(install.ensure, version, report=lambda _line: None)
        home.mkdir(parents=True, exist_ok=True)
        return cls(environment=environment, url=url, home=home, settings=settings)

    async def python(self, code: str, *, within: float = PATIENCE, check: bool = True) -> Finished:
        """Run a script, indented as it stands in the test. It is a file, as users' scripts are:
        prefect pickles what is defined in a script by value, as it does not what it can import.
        """
        script = self.home / f"script_{next(self._numbers)}.py"
        script.write_text(PREAMBLE + textwrap.dedent(code))
        return await self._run(
            str(self.environment.python), str(script), within=within, check=check
        )

    async def answer(self, code: str, *, within: float = PATIENCE) -> Any:
        """Run a script and return what it passed to `answer(...)`."""
        return _answer_in((await self.python(code, within=within)).output)

    async def answer_of(self, script: Path, *arguments: str, within: float = PATIENCE) -> Any:
        """Run a script that is a file and return what it printed after the marker."""
        finished = await self._run(
            str(self.environment.python), str(script), *arguments, within=within, check=True
        )
        return _answer_in(finished.output)

    async def cli(self, *arguments: str, within: float = PATIENCE, check: bool = True) -> Finished:
        """Run the `prefect` command."""
        return await self._run(
            str(self.environment.prefect), *arguments, within=within, check=check
        )

    @asynccontextmanager
    async def agent(self, *arguments: str, kind: str = "local") -> AsyncIterator[Agent]:
        """Run `prefect agent local start`, or another kind's, and end it and its processes with the body."""
        address = f"http://127.0.0.1:{free_port()}"
        command = ["agent", kind, "start", "--agent-address", address, "--show-flow-logs"]
        if self.environment.version.startswith(("0.8.", "0.9.", "0.12.")):
            command = ["agent", "start", "local"]
        log = self.home / f"agent_{next(self._numbers)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                str(self.environment.prefect),
                *command,
                *arguments,
                env=self._variables(),
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
            )
        try:
            yield Agent(address=address, log=log, process=process)
        finally:
            # The whole group: a local agent leaves its flow runs to live on without it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _run(self, *command: str, within: float, check: bool) -> Finished:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self._variables(),
            cwd=self.home,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), within)
        except TimeoutError as error:
            raise ClientFailedError(f"{command} did not end within {within} s") from error
        finally:
            # Whoever is no longer waited for must not go on.
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        output = said.decode(errors="replace")
        assert process.returncode is not None
        if check and process.returncode:
            raise ClientFailedError(f"{command} ended with {process.returncode}:\n{output}")
        return Finished(code=process.returncode, output=output)

    def _variables(self) -> dict[str, str]:
        return variables(self.environment, url=self.url, home=self.home) | self.settings


def _answer_in(output: str) -> Any:
    answers = [line for line in output.splitlines() if line.startswith(MARKER)]
    assert answers, f"the script did not call answer(...). It printed:\n{output}"
    return json.loads(answers[-1].removeprefix(MARKER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A running local agent."""

    address: str
    log: Path
    process: Process

    async def poke(self) -> None:
        """Make it ask for work now. Idle agents wait ten seconds between two questions."""
        async with httpx.AsyncClient() as http:
            with suppress(httpx.TransportError):  # its own API may not be up yet
                await http.get(f"{self.address}/api/poke")

    def output(self) -> str:
        return self.log.read_text(errors="replace")
