"""Whether a ping comes from the attempt that has its run: asked of PostgreSQL, many pings in one statement.

A question that comes while a statement is under way waits for it and goes with the next, so that no answer is older
than its question, nobody waits for company, and however many processes ping there is one connection in use.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

_TOGETHER = 500
"""Questions in one statement."""


@dataclass(frozen=True, slots=True)
class Held:
    """A run, and the token under which somebody claims to have it."""

    tenant_id: UUID
    flow_run_id: UUID
    token: UUID


Ask = Callable[[Sequence[Held]], Awaitable[set[Held]]]
"""Which of these hold."""


class Leases:
    """Gathers questions. `ask` puts them to PostgreSQL; what it raises, everybody who waits by then gets."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waiting: list[tuple[Held, asyncio.Future[bool]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def holds(self, held: Held) -> bool:
        """Whether the run is still the attempt's that was given this token."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((held, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all(), name="leases")
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                await self._ask_about(together)
        finally:
            self._asking = None

    async def _ask_about(self, together: Sequence[tuple[Held, asyncio.Future[bool]]]) -> None:
        try:
            found = await self._ask([held for held, _ in together])
        except Exception as error:
            # Who waits for the next statement gets it too: with a PostgreSQL that hangs, each one takes its time-outs,
            # and pings come faster than those end.
            together, self._waiting = [*together, *self._waiting], []
            for _, answer in _awaited(together):
                answer.set_exception(error)
        else:
            for held, answer in _awaited(together):
                answer.set_result(held in found)


def _awaited(
    together: Sequence[tuple[Held, asyncio.Future[bool]]],
) -> Iterator[tuple[Held, asyncio.Future[bool]]]:
    """Without those whose caller has gone meanwhile."""
    return ((held, answer) for held, answer in together if not answer.done())
