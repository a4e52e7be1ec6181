"""One method per verb, work message and event: call the code that does it, answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from libs.contracts import agent_configs as configs
from libs.contracts import heartbeat, registry, runs
from libs.contracts.base import Applied, Message, Refused
from libs.contracts.errors import Code
from libs.runtime import metrics
from libs.runtime.clock import Clock
from libs.runtime.database import Database
from libs.runtime.group_commit import GroupCommit, QueueFullError
from libs.runtime.ids import NewId
from services.runs import agent_configs, artifacts, concurrency_limits, planned, upkeep
from services.runs.agents import Agents, unstorable_identity
from services.runs.domain.states import aware, in_utc
from services.runs.ledger import Answer, Command, removal
from services.runs.ledger.commands import Done, EndProcess

T = TypeVar("T", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """The handlers of the service."""

    database: Database
    commit: GroupCommit[Command, Answer]
    agents: Agents
    clock: Clock
    ids: NewId
    monotonic: Callable[[], float]
    seen: Callable[[Awaitable[None]], None]
    """Runs something in the background: an agent's presence must not delay its answer."""
    due: Callable[[UUID], None]
    """Called with a tenant whose waiting runs may start now."""
    agent_changed: Callable[[UUID, UUID], None]
    """Called with an agent, as (tenant, id), that has registered or was deleted."""

    # states and creation

    async def set_states(self, request: runs.SetStates) -> runs.StatesSet | Refused:
        """Propose states."""
        return await self._ask(request, runs.StatesSet, weight=max(1, len(request.proposals)))

    async def create_flow_run(self, request: runs.CreateFlowRun) -> runs.FlowRunCreated | Refused:
        """Create a run."""
        start = request.scheduled_start_time
        if start is not None and start.tzinfo is None:
            request = request.model_copy(update={"scheduled_start_time": aware(start)})
        return await self._ask(request, runs.FlowRunCreated, weight=2)

    async def get_or_create_task_run(
        self, request: runs.GetOrCreateTaskRun
    ) -> runs.TaskRunInfo | Refused:
        """Find or make a task run."""
        if not -1 <= request.map_index < 1 << 31:
            reason = f"map_index: {request.map_index} is not the index of a mapped child"
            return Refused(code=Code.INVALID, fields={"reason": reason})
        return await self._ask(request, runs.TaskRunInfo)

    async def cancel_flow_run(self, request: runs.CancelFlowRun) -> runs.FlowRunCancelled | Refused:
        """Cancel a run."""
        return await self._ask(request, runs.FlowRunCancelled)

    async def _ask(self, command: Command, reply: type[T], *, weight: int = 1) -> T | Refused:
        try:
            answer = await self.commit.submit(command, weight=weight)
        except QueueFullError:
            return Refused(code=Code.BUSY, fields={"service": "runs"})
        if isinstance(answer, reply | Refused):
            return answer
        msg = f"{type(command).__name__} was answered with {type(answer).__name__}"
        raise TypeError(msg)

    # agents

    async def get_runs_in_queue(self, request: runs.GetRunsInQueue) -> runs.RunsInQueue | Refused:
        """Due runs for an agent."""
        if request.before is not None:
            before = in_utc(request.before)
            if before is None:
                reason = "before: beyond what a calendar holds"
                return Refused(code=Code.INVALID, fields={"reason": reason})
            request = request.model_copy(update={"before": before})
        found = await self.agents.queue(request)
        if request.agent_id is not None:
            self.seen(
                self.agents.seen(
                    request.tenant_id,
                    request.agent_id,
                    at=self.clock(),
                    monotonic=self.monotonic(),
                )
            )
        return runs.RunsInQueue(flow_run_ids=found)

    async def register_agent(self, request: runs.RegisterAgent) -> Applied | Refused:
        """Register an agent."""
        if (reason := unstorable_identity(request)) is not None:
            return Refused(code=Code.INVALID, fields={"reason": reason})
        agent_id = await self.agents.register(request, id_=self.ids(), at=self.clock())
        self.agent_changed(request.tenant_id, agent_id)
        return Applied(id=agent_id)

    async def delete_agent(self, request: runs.DeleteAgent) -> Applied:
        """Delete an agent."""
        done = await self.agents.delete(request.tenant_id, request.agent_id)
        if done:
            self.agent_changed(request.tenant_id, request.agent_id)
        return Applied(id=request.agent_id, success=done)

    async def create_agent_config(self, request: configs.CreateAgentConfig) -> Applied | Refused:
        """Make settings for agents."""
        return await agent_configs.create_config(
            self.database, request, id_=self.ids(), at=self.clock()
        )

    async def update_agent_config(self, request: configs.UpdateAgentConfig) -> Applied | Refused:
        """Replace settings for agents."""
        return await agent_configs.update_config(self.database, request, at=self.clock())

    async def delete_agent_config(self, request: configs.DeleteAgentConfig) -> Applied | Refused:
        """Delete settings for agents."""
        return await agent_configs.delete_config(self.database, request)

    # small writes

    async def update_run(self, request: runs.UpdateRun) -> Applied | Refused:
        """Set a name or labels."""
        return await artifacts.update_run(self.database, request, at=self.clock())

    async def delete_flow_run(self, request: runs.DeleteFlowRun) -> Applied:
        """Delete a run; runs that wait for its slots may start."""
        done = await removal.delete_flow_run(
            self.database,
            request.tenant_id,
            request.flow_run_id,
            seen_version=request.seen_version,
        )
        if done:
            self.due(request.tenant_id)
        return Applied(id=request.flow_run_id, success=done)

    async def write_artifact(self, request: runs.WriteArtifact) -> Applied | Refused:
        """Create, replace or delete an artifact."""
        return await artifacts.write_artifact(
            self.database, request, id_=self.ids(), at=self.clock()
        )

    async def set_concurrency_limit(self, request: runs.SetConcurrencyLimit) -> Applied | Refused:
        """Make or change a limit."""
        answer = await concurrency_limits.set_limit(
            self.database, request, id_=self.ids(), at=self.clock()
        )
        self.due(request.tenant_id)
        return answer

    async def delete_concurrency_limit(self, request: runs.DeleteConcurrencyLimit) -> Applied:
        """Remove a limit."""
        done = await concurrency_limits.delete_limit(self.database, request)
        self.due(request.tenant_id)
        return Applied(id=request.limit_id, success=done)

    # work and events

    async def on_work(self, work: Message) -> None:
        """The work of the scheduler and Lazarus."""
        match work:
            case runs.ForgetDeleted():
                await planned.forget_deleted(self.database, work)
            case runs.ClearScheduled():
                keep = [(aware(start), key) for start, key in work.keep]
                after = None if work.after is None else aware(work.after)
                await planned.clear(
                    self.database, work.model_copy(update={"keep": keep, "after": after})
                )
            case runs.CreateScheduled():
                instants = [
                    instant.model_copy(update={"start_time": aware(instant.start_time)})
                    for instant in work.instants
                ]
                await self._create_scheduled(work.model_copy(update={"instants": instants}))
            case runs.Reschedule():
                await self.commit.submit(work)
            case _:
                msg = f"not work for runs: {type(work).__name__}"
                raise TypeError(msg)

    async def _create_scheduled(self, work: runs.CreateScheduled) -> None:
        answer = await self.commit.submit(work, weight=len(work.instants) + 1)
        if not isinstance(answer, Done):
            msg = f"CreateScheduled was answered with {type(answer).__name__}"
            raise TypeError(msg)
        if answer.reason is not None:
            metrics.SCHEDULED_RUNS_REFUSED.labels(reason=answer.reason.partition(":")[0]).inc()
        elif answer.count < len(work.instants) and await planned.follow(self.database, work):
            self.due(work.tenant_id)  # with other labels it may suit a waiting agent

    async def on_zombie(self, event: heartbeat.FlowRunZombieDetected) -> None:
        """A live run has been silent for too long."""
        await self.commit.submit(event)

    async def on_process_end(self, ended: EndProcess) -> Done:
        """The process of a Running run has ended, as its agent reported."""
        answer = await self.commit.submit(ended)
        if not isinstance(answer, Done):
            msg = f"EndProcess was answered with {type(answer).__name__}"
            raise TypeError(msg)
        return answer

    async def on_flow_archived(self, event: registry.FlowArchived) -> None:
        """Pending runs of an archived flow are removed or cancelled."""
        await upkeep.clear_archived(self.database, self.commit, event.flow_id)

    async def on_flow_deleted(self, event: registry.FlowDeleted) -> None:
        """A deleted flow's runs go with it, and so do the slots that they held."""
        if await upkeep.remove_runs_of_deleted(self.database, event.flow_id):
            self.due(event.tenant_id)
