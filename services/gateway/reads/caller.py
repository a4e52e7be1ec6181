"""The caller of a read: its share, whether it is still connected, and the bytes answered so far."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from services.gateway.fair_queue import Owner
from services.gateway.reads.statement import too_much
from services.gateway.shares import Share, Shares

SECONDS = 30.0  # of PostgreSQL's time, for all reads of one request
_FREE = 16 * 1024  # bytes of an answer that need no share


class Connection(Protocol):
    """The parts of the client's connection that reads use."""

    @property
    def is_lost(self) -> bool:
        """Whether the client has left."""

    def when_lost(self, call: Callable[[], object]) -> Callable[[], None]:
        """Call the function once if the client leaves; cancelled by the answer."""


@dataclass(slots=True)
class Caller:
    """One request."""

    owner: Owner = (None, None)
    connection: Connection | None = None
    has_left: bool = False
    """Whether a read ended because of that."""
    seconds: float = SECONDS
    answered: int = 0
    """Bytes of all answers so far."""
    _held: list[Share] = field(default_factory=list)

    @property
    def is_gone(self) -> bool:
        """Whether the client has left."""
        return self.connection is not None and self.connection.is_lost

    def check_seconds(self) -> None:
        """Before a statement."""
        if self.seconds < 0:
            msg = f"The reads of one request took more than {SECONDS:g} s; send them one by one."
            raise too_much(msg)

    async def hold(self, shares: Shares, size: int) -> None:
        """Count bytes in memory until the request is answered; BusyError when there is no room for them in time."""
        self.answered += size
        if self.answered > _FREE:
            share = shares.of(self.owner, size)
            await share.take()
            self._held.append(share)

    def let_go(self) -> None:
        """The request was answered, or its client has left."""
        for share in self._held:
            share.give_back()
        self._held.clear()

    def while_there(self) -> "_WhileThere":
        """A context: if the client leaves, the task is cancelled, and with it its statement in PostgreSQL."""
        return _WhileThere(self)


class _WhileThere:
    __slots__ = ("_caller", "_forget", "_task")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._task = asyncio.current_task()
        self._forget: Callable[[], None] | None = None

    def __enter__(self) -> None:
        connection = self._caller.connection
        if connection is None:
            return
        if connection.is_lost:
            self._caller.has_left = True
            raise asyncio.CancelledError
        self._forget = connection.when_lost(self._leave)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._forget is not None:
            self._forget()

    def _leave(self) -> None:
        self._caller.has_left = True
        if self._task is not None:
            self._task.cancel()
