"""Whether a ping comes from the attempt that has its run: asked of PostgreSQL, many pings in one statement.

A question that comes while a statement is under way waits for it and goes with the next, so that no answer is older
than its question, nobody waits for company, and however many processes ping there is one connection in use.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from uuid import UUID

from libs.runtime.group_commit import GroupCommit

_TOGETHER = 500
"""Questions in one statement."""
_WAITING = 100_000
"""Questions that wait; more processes than ping in three seconds at the largest size that was planned."""


@dataclass(frozen=True, slots=True)
class LeaseClaim:
    """A run, and the token under which somebody claims to have it."""

    tenant_id: UUID
    flow_run_id: UUID
    token: UUID


Ask = Callable[[Sequence[LeaseClaim]], Awaitable[set[LeaseClaim]]]
"""Which of these hold."""


class Leases:
    """Gathers questions. `ask` puts them to PostgreSQL; what it raises, everybody who waits by then gets."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        # With a PostgreSQL that hangs each statement takes its time-outs, and pings come faster than those end: so who
        # waits fails together. Reading needs no transaction.
        self._questions: GroupCommit[LeaseClaim, bool] = GroupCommit(
            lambda: nullcontext(self._answer),
            batch_limit=_TOGETHER,
            queue_limit=_WAITING,
            lanes=1,
            service="gateway",
            fail_together=True,
        )
        self._is_started = False

    async def holds(self, claim: LeaseClaim) -> bool:
        """Whether the run is still the attempt's that was given this token."""
        if not self._is_started:
            self._is_started = True
            self._questions.start()
        return await self._questions.submit(claim)

    async def stop(self) -> None:
        """Answer nothing more."""
        await self._questions.stop()

    async def _answer(self, claims: Sequence[LeaseClaim]) -> list[bool]:
        found = await self._ask(claims)
        return [claim in found for claim in claims]
