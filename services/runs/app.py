"""The ledger's shell: the group commit, the handlers, the drain of logs, the loops."""

import asyncio
from typing import ClassVar
from uuid import UUID

import coolname

from libs.contracts import heartbeat, registry, runs, streams, subjects
from libs.contracts.base import Message
from libs.runtime import faults
from libs.runtime.background import Background
from libs.runtime.clock import Clock, utc_now
from libs.runtime.group_commit import GroupCommit
from libs.runtime.ids import NewId, new_id
from libs.runtime.service import Service
from services.runs import concurrency_limits, upkeep
from services.runs.agents import Agents
from services.runs.dispatch import Dispatch, DispatchSettings, LedgerCalls
from services.runs.handlers import Handlers
from services.runs.ledger import Answer, Command, Committed, Ledger, Policy
from services.runs.logs import LogDrain
from services.runs.settings import RunsSettings

WORK_MESSAGES: tuple[tuple[subjects.Subject, type[Message]], ...] = (
    (subjects.WORK_CREATE_SCHEDULED, runs.CreateScheduled),
    (subjects.WORK_CLEAR_SCHEDULED, runs.ClearScheduled),
    (subjects.WORK_FORGET_DELETED, runs.ForgetDeleted),
    (subjects.WORK_RESCHEDULE, runs.Reschedule),
)


class Runs(Service):
    """See the package's page."""

    name: ClassVar[str] = "runs"
    has_outbox: ClassVar[bool] = True

    def __init__(
        self, settings: RunsSettings, *, clock: Clock = utc_now, ids: NewId = new_id
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self._settings = settings
        self._background = Background(self.log, "hint_failed")
        ledger = Ledger(
            self.database,
            clock=clock,
            ids=ids,
            names=lambda: str(coolname.generate_slug(2)),  # two words, as Prefect names runs
            policy=Policy(
                resurrection_limit=settings.lazarus_limit, cancel_deadline=settings.cancel_deadline
            ),
            on_commit=self._on_commit,
        )
        self.commit: GroupCommit[Command, Answer] = GroupCommit(
            ledger.begin,
            batch_limit=settings.commit_batch,
            queue_limit=settings.commit_queue,
            lanes=settings.commit_lanes,
            service=self.name,
            before_answer=faults.Point.RUNS_AFTER_COMMIT_BEFORE_ANSWER,
            tracing=self.tracing,
        )
        self.handlers = Handlers(
            database=self.database,
            commit=self.commit,
            agents=Agents(self.database),
            clock=clock,
            ids=ids,
            monotonic=lambda: asyncio.get_running_loop().time(),
            seen=self._background.run,
            due=self._due,
        )
        self.drain = LogDrain(
            self.database,
            self.bus,
            durable(streams.LOGS, "runs__logs"),
            cap=settings.log_cap,
            clock=clock,
            ids=ids,
        )
        self.add_loop("upkeep", interval=settings.upkeep_tick, tick=self.upkeep)
        self.add_loop("sweep", interval=settings.sweep_tick, tick=self.sweep)
        self.add_loop("slots", interval=settings.sweep_tick, tick=self.repair_slots)
        self.add_loop("left_task_runs", interval=settings.sweep_tick, tick=self.end_left_task_runs)
        self.add_loop("lateness", interval=settings.late_tick, tick=self.mark_late)
        self.add_loop("cancellations", interval=settings.cancel_tick, tick=self.end_cancellations)

    def declare(self) -> None:
        """Verbs, work, events, logs."""
        self.handlers.serve(self.bus)
        self.dispatch = Dispatch(
            self,
            LedgerCalls(
                set_states=self.handlers.set_states,
                bury=self.handlers.on_zombie,
                register_agent=self.handlers.register_agent,
            ),
            DispatchSettings(),
            pings=self._settings,
        )
        self.bus.consume(
            durable(streams.WORK, "runs__work"), streams.WORK, _work, self.handlers.on_work
        )
        self.bus.consume(
            durable(streams.EVENTS, "runs__flows_archived"),
            streams.EVENTS,
            lambda _: registry.FlowArchived,
            self.handlers.on_flow_archived,
        )
        self.bus.consume(
            durable(streams.EVENTS, "runs__flows_deleted"),
            streams.EVENTS,
            lambda _: registry.FlowDeleted,
            self.handlers.on_flow_deleted,
        )
        self.bus.consume(
            durable(streams.EVENTS, "runs__zombies"),
            streams.EVENTS,
            lambda _: heartbeat.FlowRunZombieDetected,
            self.handlers.on_zombie,
        )
        self.bus.consume_batches(
            durable(streams.LOGS, "runs__logs"),
            streams.LOGS,
            self.drain.handle,
            batch=500,
            wait=1.0,
        )

    async def on_start(self) -> None:
        """Partitions first: a week without one would go into the default partition."""
        await upkeep.keep_partitions(self.database, now=self.clock())
        self.commit.start()
        self.dispatch.start()

    async def stop(self) -> None:
        """Send waiting claims elsewhere while the bus still speaks, then as every service."""
        await self.dispatch.stop()
        await super().stop()

    async def on_stop(self) -> None:
        """The bus has drained; close the lanes."""
        await self._background.finish()
        await self.commit.stop()

    # loops

    async def upkeep(self) -> list[str]:
        """Make the partitions of coming weeks, drop those past their retention; the dropped ones."""
        now = self.clock()
        await upkeep.keep_partitions(self.database, now=now)
        dropped = await upkeep.drop_old(
            self.database,
            states=self._settings.state_retention,
            logs=self._settings.log_retention,
            runs=self._settings.run_retention,
            now=now,
        )
        if dropped:
            self.log.info("partitions_dropped", names=dropped)
        return dropped

    async def sweep(self) -> int:
        """Do what lost events would have done; how many runs it touched."""
        touched = await upkeep.sweep(self.database, self.commit)
        if touched:
            self.log.info("runs_swept", count=touched)
        return touched

    async def repair_slots(self) -> int:
        """Make slots of concurrency limits agree with the runs; how many did not."""
        done = await concurrency_limits.repair_slots(self.database, at=self.clock())
        if done.freed or done.counted:
            self.log.warning("slots_repaired", freed=done.freed, counted=done.counted)
        for tenant_id in done.tenants:
            self._due(tenant_id)
        return done.freed + done.counted

    async def end_cancellations(self) -> int:
        """Cancel what was asked to stop and did not; how many."""
        ended = await upkeep.end_cancellations(
            self.database, self.commit, deadline=self._settings.cancel_deadline, now=self.clock()
        )
        if ended:
            self.log.info("cancellations_ended", count=ended)
        return ended

    async def end_left_task_runs(self) -> int:
        """End task runs whose flow run is over or waits, and is silent; in how many flow runs."""
        silence = 2 * self._settings.heartbeat_silence
        ended = await upkeep.end_left_task_runs(
            self.database,
            self.commit,
            silence=silence,
            unheard=heartbeat.HEARD_WITHIN,
            now=self.clock(),
        )
        if ended:
            self.log.info("left_task_runs_ended", flow_runs=ended)
        return ended

    async def mark_late(self) -> int:
        """Say of due runs why they have not started, and show how many there are; how many have a new reason."""
        await upkeep.show_due(self.database)
        return await upkeep.mark_late(
            self.database,
            late_after=self._settings.late_after,
            silent_after=self._settings.agent_silent_after,
            now=self.clock(),
        )

    # after a commit

    def _on_commit(self, committed: Committed) -> None:
        """Publish the outbox now, and give the hints that nothing depends on."""
        if committed.has_events:
            self.committed()
        for tenant_id in committed.work_ready:
            self._due(tenant_id)
        for tenant_id, flow_run_id in committed.cancelling:
            subject = subjects.SIG_AGENT_CANCEL.at(tenant_id=tenant_id, flow_run_id=flow_run_id)
            self._background.run(self.bus.signal(subject))

    def _due(self, tenant_id: UUID) -> None:
        self.dispatch.due(tenant_id)


def durable(stream: streams.Stream, name: str) -> streams.Durable:
    """The stream's durable of this name."""
    return next(found for found in stream.durables if found.name == name)


def build(settings: RunsSettings) -> Runs:
    """The service, ready to start."""
    return Runs(settings)


def _work(subject: str) -> type[Message] | None:
    for known, body in WORK_MESSAGES:
        if subject.startswith(known.template.split("{", 1)[0]):
            return body
    return None
