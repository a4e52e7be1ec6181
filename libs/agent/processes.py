"""Executors: their interface, and the one that starts child processes."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import environment
from .environment import Surroundings, Version
from .folder import PROCESS, RunFolder, StateFolder


class Executor(Protocol):
    """Runs flow runs and reports on them. After a crash of the agent, the next one finds them in the state folder.

    `prepare` and `start` raise UnstartableError for permanent failures, OSError for temporary ones.
    """

    @property
    def noun(self) -> str:
        """The kind of thing that it starts, for log lines and the record on disk."""

    @property
    def version(self) -> str | None:
        """Version of the Prefect that runs flows, when the agent chooses it."""

    async def prepare(self, folder: RunFolder) -> bool:
        """The slow part before a start; returns whether it took so long that the lease must be confirmed again."""

    async def start(self, folder: RunFolder) -> str:
        """Start it; returns its name for log lines."""

    def find(self, state: StateFolder) -> Iterator[RunFolder]:
        """The runs of an earlier agent. Live ones are followed from now on."""

    def exit_code(self, folder: RunFolder) -> int | None:
        """The exit code, 128 + n for signal n, VANISHED if its end was not seen; None while it may be running."""

    async def is_alive(self, folder: RunFolder) -> bool:
        """Whether it is known to run now."""

    async def signal(self, folder: RunFolder, number: signal.Signals) -> None:
        """Send it a signal; no effect on one that has ended."""

    async def remove(self, folder: RunFolder) -> None:
        """Remove everything that belongs to the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """`prefect execute flow-run` in a process of its own, as LocalAgent does it."""

    surroundings: Surroundings
    python: str
    prefect: Version
    version: str
    noun: str = PROCESS

    async def prepare(self, folder: RunFolder) -> bool:
        return False

    async def start(self, folder: RunFolder) -> str:
        run = folder.record.run
        working_folder = environment.working_folder(run)
        env = environment.variables(
            run, self.surroundings, inherited=os.environ, here=Path.cwd(), prefect=self.prefect
        )
        pid = folder.start(environment.command(self.python, self.prefect), env, working_folder)
        return f"PID: {pid}"

    def find(self, state: StateFolder) -> Iterator[RunFolder]:
        return state.found(noun=self.noun)

    def exit_code(self, folder: RunFolder) -> int | None:
        return folder.exit_code()

    async def is_alive(self, folder: RunFolder) -> bool:
        return folder.exit_code() is None

    async def signal(self, folder: RunFolder, number: signal.Signals) -> None:
        folder.signal(number)

    async def remove(self, folder: RunFolder) -> None:
        folder.remove()
