"""Checks that a ping comes from the attempt that has the run's lease: many pings in one statement.

A check that comes while a statement runs waits for the next one. So no result is older than its check, no check waits
for others, and only one connection is used for any number of processes.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from uuid import UUID

from libs.runtime.group_commit import GroupCommit

_TOGETHER = 500
"""Checks in one statement."""
_WAITING = 100_000
"""Waiting checks; more than the pings of three seconds at the largest planned size."""


@dataclass(frozen=True, slots=True)
class LeaseClaim:
    """A run, and the lease token of a ping."""

    tenant_id: UUID
    flow_run_id: UUID
    token: UUID


Ask = Callable[[Sequence[LeaseClaim]], Awaitable[set[LeaseClaim]]]
"""Which of these hold."""


class LeaseChecks:
    """Collects checks. `ask` runs them in PostgreSQL; its exception goes to all that wait then."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        # When PostgreSQL hangs, each statement takes its whole time-out, and pings come faster: so all waiting checks
        # fail together. Reading needs no transaction.
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
        """Whether the lease with this token is still valid."""
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
