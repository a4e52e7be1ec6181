"""What the supervisor must know of an engine; one implementation per engine."""

import signal
from pathlib import Path
from typing import Protocol

from deploy.engines.account import Account


class Program(Protocol):
    """An engine as the supervisor sees it."""

    name: str
    store: Path
    account: Account | None
    death_signal: signal.Signals
    stop_signals: tuple[tuple[signal.Signals, float], ...]
    """From polite to final, each with the seconds that it is given."""

    async def prepare(self) -> None:
        """Make the store if there is none. Called once, before the first start."""
        ...

    def before_start(self, port: int) -> None:
        """Called before every start, also after a crash: write the configuration, clear what the dead one left."""
        ...

    def command(self, port: int) -> list[str]:
        """The command that runs the engine on this port; its store is one of the arguments."""
        ...

    async def is_ready(self, port: int, pid: int) -> bool:
        """Whether the engine that was started as `pid` takes clients."""
        ...
