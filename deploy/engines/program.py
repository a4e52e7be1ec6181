"""The interface between the supervisor and an engine; one implementation per engine."""

import signal
from pathlib import Path
from typing import Protocol

from deploy.engines.account import Account


class Program(Protocol):
    """An engine for the supervisor."""

    name: str
    store: Path
    account: Account | None
    death_signal: signal.Signals
    stop_signals: tuple[tuple[signal.Signals, float], ...]
    """The signals, from gentle to SIGKILL, each with its seconds."""

    async def prepare(self) -> None:
        """Make the store if there is none. Called once, before the first start."""
        ...

    def before_start(self, port: int) -> None:
        """Called before every start, also after a crash: write the configuration, remove files of the dead one."""
        ...

    def command(self, port: int) -> list[str]:
        """The command that runs the engine on this port; its store is one of the arguments."""
        ...

    async def is_ready(self, port: int, pid: int) -> bool:
        """Whether the engine that was started as `pid` accepts clients."""
        ...
