"""What runs a flow run: the contract of executors, and the one that starts child processes."""

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
    """Runs a run and tells how it goes. What is left of it when the agent dies is found again in the state folder.

    `prepare` and `start` raise UnstartableError for what can be started nowhere like here, OSError for what may yet.
    """

    @property
    def noun(self) -> str:
        """What it starts, for people and for the record on disk."""

    @property
    def version(self) -> str | None:
        """Of the Prefect that runs flows, where the agent chooses it."""

    async def prepare(self, folder: RunFolder) -> bool:
        """Whatever takes long before a start; whether it took long enough to ask the ledger once more."""

    async def start(self, folder: RunFolder) -> str:
        """Start it; its name for people."""

    def find(self, state: StateFolder) -> Iterator[RunFolder]:
        """The runs that an earlier agent left. What lives is followed from now on."""

    def exit_code(self, folder: RunFolder) -> int | None:
        """How it ended, signal n as 128 + n, VANISHED if nobody saw; None while it may be running."""

    async def is_alive(self, folder: RunFolder) -> bool:
        """Whether it is known to run at this moment."""

    async def signal(self, folder: RunFolder, number: signal.Signals) -> None:
        """Send it a signal; one that is gone is left alone."""

    async def remove(self, folder: RunFolder) -> None:
        """Forget the run, and leave nothing of it."""


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
