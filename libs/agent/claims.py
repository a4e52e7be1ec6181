"""Claims: one claim waits at the ledger while there is room for runs.

Answers come to an inbox, not to a call, because an answer may come late: after a reconnection, or from a slow replica.
Every answer is accepted; runs that there is no room for are returned.
"""

import asyncio
import random
from collections.abc import Callable
from uuid import UUID

from nats.aio.msg import Msg
from pydantic import ValidationError

from . import wire
from .clock import new_id
from .link import Link, UnreachableError, read_answer
from .metrics import Metrics
from .say import Say

_PAUSE = 1.0
"""Seconds before the next claim when there is no responder."""
_REFUSED_PAUSE = 10.0
_LOOK_EVERY = 1.0
"""Seconds between two answers to the signal that runs are due elsewhere."""


class Claims:
    """Keeps one claim waiting while `room()` is positive. Runs are handed to `take`."""

    def __init__(
        self,
        link: Link,
        *,
        session: UUID,
        labels: list[str],
        room: Callable[[], int],
        take: Callable[[list[wire.ClaimedRun]], None],
        metrics: Metrics,
        say: Say,
    ) -> None:
        self._link = link
        self._session = session
        self._labels = labels
        self._room = room
        self._take = take
        self._metrics = metrics
        self._say = say
        self._inbox = ""
        self._agent_id: UUID | None = None
        self._park = 0.0
        self._wake = asyncio.Event()
        self._waiting: UUID | None = None
        self._overdue_at = 0.0
        self._not_before = 0.0
        self._looked_at = 0.0
        self._was_lost = False
        self._is_paused = False

    async def listen(self) -> None:
        """Open the inbox and subscribe to the signal."""
        self._inbox = await self._link.inbox(self._on_answer)
        await self._link.hear(wire.work_ready_subject(self._link.tenant_id), self._on_work_ready)

    def welcomed(self, agent_id: UUID, *, park: float) -> None:
        """The ledger knows the agent. The claim that waited before a reconnection is repeated."""
        self._agent_id = agent_id
        self._park = park
        # Repeated under its own id: an answer that was lost is sent again.
        self._was_lost = self._waiting is not None
        self._not_before = 0.0
        self.poke()

    def note_pause(self, *, is_paused: bool) -> None:
        """Say it once when the tenant's work queue is paused, and when it is resumed."""
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            self._say(
                "the work queue is paused: no run is given out until it is resumed"
                if is_paused
                else "the work queue is resumed"
            )

    def poke(self) -> None:
        """There may be room now."""
        self._wake.set()

    async def run(self) -> None:
        """Claim while there is room, until cancelled."""
        while True:
            self._wake.clear()
            now = _now()
            if self._waiting is not None and now >= self._overdue_at and not self._was_lost:
                # Nothing came due; if an answer is still under way, its runs are accepted too.
                self._waiting = None
            is_free = self._waiting is None or self._was_lost
            if (
                is_free
                and self._agent_id is not None
                and self._room() > 0
                and now >= self._not_before
            ):
                await self._send()
            pause = max(0.05, min(self._next(now) - now, 60.0))
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _next(self, now: float) -> float:
        if self._not_before > now:
            return self._not_before
        is_waiting = self._waiting is not None and not self._was_lost
        return self._overdue_at if is_waiting else now + 60.0

    async def _send(self) -> None:
        if self._agent_id is None:
            return
        # Agents must not come back at the same time.
        wait = self._park * random.uniform(0.9, 1.0)  # noqa: S311
        claim = wire.Claim(
            session=self._session,
            agent_id=self._agent_id,
            claim_id=self._waiting if self._was_lost and self._waiting else new_id(),
            labels=self._labels,
            capacity=self._room(),
            wait=wait,
            is_repeated=self._was_lost and self._waiting is not None,
            expires_silently=True,
        )
        try:
            await self._link.post("claim", claim, reply=self._inbox)
        except UnreachableError:
            self._not_before = _now() + _PAUSE
            return
        self._metrics.count("claims")
        self._waiting = claim.claim_id
        self._was_lost = False
        self._overdue_at = _now() + wait

    async def _on_answer(self, message: Msg) -> None:
        if message.headers and message.headers.get("Status"):  # no replica serves claims now
            self._waiting = None
            self._not_before = _now() + _PAUSE * random.uniform(0.5, 1.5)  # noqa: S311 - as above
            self.poke()
            return
        try:
            await self._link.acknowledge(message)
            answer = read_answer(message.data, wire.Claimed)
        except UnreachableError as error:
            self._say(f"a claim was not answered well: {error}")
            return
        if isinstance(answer, wire.Refused):
            self._say(f"the claim was refused: {answer.fields.get('reason') or answer.code}")
            self._waiting = None
            self._not_before = _now() + _REFUSED_PAUSE
            return
        if answer.claim_id == self._waiting or answer.runs:
            # Runs for another claim than the one that waits: the replica where that one waits no longer knows it.
            self._waiting = None
            self._was_lost = False
        if answer.runs:
            self._metrics.count("claimed_runs", len(answer.runs))
            self._take(answer.runs)
        self.poke()

    async def _on_work_ready(self, message: Msg) -> None:
        """Runs are due and no claim waits for them there: the replica at which this claim waits may be gone."""
        try:
            signal = wire.WorkReady.model_validate_json(message.data or b"{}")
        except ValidationError:
            signal = wire.WorkReady()
        if signal.queue_is_paused is not None:
            self.note_pause(is_paused=signal.queue_is_paused)
            return
        now = _now()
        mine = set(self._labels)
        if signal.labels and not any(
            set(s) <= mine and bool(s) == bool(mine) for s in signal.labels
        ):
            return
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._waiting = None  # if it is answered after all, its runs are accepted too
            self.poke()


def _now() -> float:
    return asyncio.get_running_loop().time()
