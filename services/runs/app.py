"""The ledger, put together."""

import asyncio
from typing import ClassVar
from uuid import UUID

from libs.contracts import streams
from libs.runtime.background import Background
from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.runs import subscribers, upkeep
from services.runs.agents import Agents
from services.runs.dispatch import Dispatch, DispatchSettings, LedgerCalls
from services.runs.handlers import Handlers
from services.runs.hints import AgentWatch, Hints
from services.runs.logs import LogDrain
from services.runs.loops import Duties
from services.runs.settings import RunsSettings
from services.runs.write_path import AfterCommit, group_commit


class Runs(Service):
    """See the package's page."""

    name: ClassVar[str] = "runs"
    has_outbox: ClassVar[bool] = True

    def __init__(
        self, settings: RunsSettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self._background = Background(self.log, "hint_failed")
        self._hints = Hints(self.bus, self._background)
        self.commit = group_commit(
            self.database, settings, clock=clock, ids=ids, service=self.name, tracing=self.tracing,
            on_commit=AfterCommit(
                self.bus, self._background, self._hints, publish=self.committed, due=self._due
            ),
        )  # fmt: skip
        self.handlers = Handlers(
            database=self.database, commit=self.commit, agents=Agents(self.database),
            clock=clock, ids=ids, monotonic=lambda: asyncio.get_running_loop().time(),
            seen=self._background.run, due=self._due, agent_changed=self._hints.agent_changed,
        )  # fmt: skip
        self.drain = LogDrain(
            self.database, self.bus, streams.LOG_DRAIN, cap=settings.log_cap, clock=clock, ids=ids,
            per_minute=settings.log_lines_per_minute,
        )  # fmt: skip
        self.dispatch = Dispatch(
            self,
            LedgerCalls(
                set_states=self.handlers.set_states,
                on_process_end=self.handlers.on_process_end,
                register_agent=self.handlers.register_agent,
            ),
            DispatchSettings(),
            pings=settings,
        )
        self.duties = Duties(
            self.database, self.commit, settings, clock=clock, due=self._due, log=self.log,
            agent_watch=AgentWatch(self.database, self._hints, settings.agent_silent_after),
        )  # fmt: skip
        self.add_duties((*self.duties.all(), *self.dispatch.duties()))

    def declare(self) -> None:
        """Declare its subscriptions."""
        self.bus.include(subscribers.router(self.name, self.handlers, self.dispatch, self.drain))

    async def on_start(self) -> None:
        """Partitions first: a week without one would go into the default partition."""
        await upkeep.keep_partitions(self.database, now=self.clock())
        self.commit.start()
        await self.dispatch.start()

    async def stop(self) -> None:
        """Answer waiting claims while the bus is still connected, so that agents ask another replica; then stop as
        every service."""
        await self.dispatch.stop()
        await super().stop()

    async def on_stop(self) -> None:
        """The bus has drained; close the lanes."""
        self._hints.close()
        await self._background.finish()
        await self.commit.stop()
        await self.dispatch.close()

    def _due(self, tenant_id: UUID) -> None:
        # A method: the ledger is made first, and dispatch needs its handlers.
        self.dispatch.due(tenant_id)


def build(settings: RunsSettings) -> Runs:
    """The service, ready to start."""
    return Runs(settings)
