"""The loops of the ledger: one tick per duty. Dispatch has its own."""

from collections.abc import Callable
from uuid import UUID

import structlog

from libs.contracts import heartbeat
from libs.runtime.clock import Clock
from libs.runtime.database import Database
from libs.runtime.group_commit import GroupCommit
from libs.runtime.loop import Duty
from services.runs import concurrency_limits, upkeep
from services.runs.hints import AgentWatch
from services.runs.ledger import Answer, Command
from services.runs.settings import RunsSettings


class Duties:
    """`due` is called with a tenant whose waiting runs may start now."""

    def __init__(
        self,
        database: Database,
        commit: GroupCommit[Command, Answer],
        settings: RunsSettings,
        *,
        clock: Clock,
        due: Callable[[UUID], None],
        log: structlog.typing.FilteringBoundLogger,
        agent_watch: AgentWatch,
    ) -> None:
        self._database = database
        self._commit = commit
        self._settings = settings
        self._clock = clock
        self._due = due
        self._log = log
        self.agent_watch = agent_watch

    def all(self) -> tuple[Duty, ...]:
        """Each with its interval."""
        settings = self._settings
        return (
            Duty("upkeep", settings.upkeep_tick, self.upkeep),
            Duty("sweep", settings.sweep_tick, self.sweep),
            Duty("slots", settings.sweep_tick, self.repair_slots),
            Duty("left_task_runs", settings.sweep_tick, self.end_left_task_runs),
            Duty("lateness", settings.late_tick, self.mark_late),
            Duty("agents", settings.late_tick, self.watch_agents),
            Duty("cancellations", settings.cancel_tick, self.end_cancellations),
        )

    async def upkeep(self) -> list[str]:
        """Make the partitions of coming weeks, drop those past their retention; returns the dropped ones."""
        now = self._clock()
        await upkeep.keep_partitions(self._database, now=now)
        dropped = await upkeep.drop_old(
            self._database,
            states=self._settings.state_retention,
            logs=self._settings.log_retention,
            runs=self._settings.run_retention,
            now=now,
        )
        if dropped:
            self._log.info("partitions_dropped", names=dropped)
        return dropped

    async def sweep(self) -> int:
        """Do the work of lost events; returns how many runs it changed."""
        touched = await upkeep.sweep(self._database, self._commit)
        if touched:
            self._log.info("runs_swept", count=touched)
        return touched

    async def repair_slots(self) -> int:
        """Make slots of concurrency limits consistent with the runs; returns how many were not."""
        done = await concurrency_limits.repair_slots(self._database, at=self._clock())
        if done.freed or done.counted:
            self._log.warning("slots_repaired", freed=done.freed, counted=done.counted)
        for tenant_id in done.tenants:
            self._due(tenant_id)
        return done.freed + done.counted

    async def end_cancellations(self) -> int:
        """Cancel runs that should stop and did not; returns how many."""
        ended = await upkeep.end_cancellations(
            self._database, self._commit, deadline=self._settings.cancel_deadline, now=self._clock()
        )
        if ended:
            self._log.info("cancellations_ended", count=ended)
        return ended

    async def end_left_task_runs(self) -> int:
        """End task runs whose flow run has ended or waits, and is silent; returns in how many flow runs."""
        silence = 2 * self._settings.heartbeat_silence
        ended = await upkeep.end_left_task_runs(
            self._database,
            self._commit,
            silence=silence,
            unheard=heartbeat.HEARD_WITHIN,
            now=self._clock(),
        )
        if ended:
            self._log.info("orphaned_task_runs_ended", flow_runs=ended)
        return ended

    async def watch_agents(self) -> int:
        """Hint at agents that fell silent or came back; how many."""
        return await self.agent_watch.look(self._clock())

    async def mark_late(self) -> int:
        """Write the reason why due runs have not started, and export their number; returns how many have a new
        reason."""
        await upkeep.show_due(self._database)
        return await upkeep.mark_late(
            self._database,
            late_after=self._settings.late_after,
            silent_after=self._settings.agent_silent_after,
            now=self._clock(),
        )
