"""The ledger's subscriptions: its verbs, those of native agents, work, events and log lines."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from faststream import Path
from nats.aio.msg import Msg

from libs.contracts import agent_configs, agents, heartbeat, registry, runs, streams, subjects
from libs.contracts.base import Applied, Message, Refused
from libs.contracts.subjects import Subject
from libs.runtime.bus import LARGE, Benchmark, Router
from services.runs.dispatch import Dispatch, asking_tenant, read_report
from services.runs.handlers import Handlers
from services.runs.logs import LogDrain

TenantId = Annotated[UUID, Path("tenant_id")]

WORK: dict[Subject, type[Message]] = {
    subjects.WORK_CREATE_SCHEDULED: runs.CreateScheduled,
    subjects.WORK_CLEAR_SCHEDULED: runs.ClearScheduled,
    subjects.WORK_FORGET_DELETED: runs.ForgetDeleted,
    subjects.WORK_RESCHEDULE: runs.Reschedule,
}


def router(service: str, handlers: Handlers, dispatch: Dispatch, drain: LogDrain) -> Router:
    """All of it."""
    router = Router(service)
    _verbs(router, handlers)
    _agent_verbs(router, dispatch)
    _signals(router, dispatch)
    _durables(router, handlers, drain)
    return router


def _verbs(router: Router, handlers: Handlers) -> None:
    # These join the group commit, and every stock agent calls the last one every few seconds.
    router.lean_verb(runs.SET_STATES, Benchmark.RUNS)(handlers.set_states)
    router.lean_verb(runs.CREATE_FLOW_RUN, Benchmark.RUNS)(handlers.create_flow_run)
    router.lean_verb(runs.GET_OR_CREATE_TASK_RUN, Benchmark.RUNS)(handlers.get_or_create_task_run)
    router.lean_verb(runs.CANCEL_FLOW_RUN, Benchmark.RUNS)(handlers.cancel_flow_run)
    router.lean_verb(runs.GET_RUNS_IN_QUEUE, Benchmark.RUNS)(handlers.get_runs_in_queue)

    @router.verb(runs.REGISTER_AGENT)
    async def register_agent(request: runs.RegisterAgent) -> Applied | Refused:
        return await handlers.register_agent(request)

    @router.verb(runs.DELETE_AGENT)
    async def delete_agent(request: runs.DeleteAgent) -> Applied | Refused:
        return await handlers.delete_agent(request)

    @router.verb(agent_configs.CREATE_AGENT_CONFIG)
    async def create_agent_config(request: agent_configs.CreateAgentConfig) -> Applied | Refused:
        return await handlers.create_agent_config(request)

    @router.verb(agent_configs.UPDATE_AGENT_CONFIG)
    async def update_agent_config(request: agent_configs.UpdateAgentConfig) -> Applied | Refused:
        return await handlers.update_agent_config(request)

    @router.verb(agent_configs.DELETE_AGENT_CONFIG)
    async def delete_agent_config(request: agent_configs.DeleteAgentConfig) -> Applied | Refused:
        return await handlers.delete_agent_config(request)

    @router.verb(runs.UPDATE_RUN)
    async def update_run(request: runs.UpdateRun) -> Applied | Refused:
        return await handlers.update_run(request)

    @router.verb(runs.DELETE_FLOW_RUN, seconds=LARGE)
    async def delete_flow_run(request: runs.DeleteFlowRun) -> Applied | Refused:
        return await handlers.delete_flow_run(request)

    @router.verb(runs.WRITE_ARTIFACT)
    async def write_artifact(request: runs.WriteArtifact) -> Applied | Refused:
        return await handlers.write_artifact(request)

    @router.verb(runs.SET_CONCURRENCY_LIMIT)
    async def set_concurrency_limit(request: runs.SetConcurrencyLimit) -> Applied | Refused:
        return await handlers.set_concurrency_limit(request)

    @router.verb(runs.DELETE_CONCURRENCY_LIMIT)
    async def delete_concurrency_limit(request: runs.DeleteConcurrencyLimit) -> Applied | Refused:
        return await handlers.delete_concurrency_limit(request)


def _agent_verbs(router: Router, dispatch: Dispatch) -> None:
    verbs = dispatch.verbs

    # Most claims wait for long, and renewals are a group commit.
    router.lean_agent_verb(agents.CLAIM, Benchmark.AGENT_DISPATCH, whose=asking_tenant)(
        verbs.on_claim
    )

    @router.lean_agent_verb(agents.RENEW, Benchmark.AGENT_DISPATCH, whose=asking_tenant)
    async def renew(
        tenant_id: UUID, request: agents.Renew, _reply: str
    ) -> agents.Renewed | Refused:
        return await verbs.renew(tenant_id, request)

    @router.agent_verb(agents.HELLO, whose=asking_tenant)
    async def hello(request: agents.Hello, tenant_id: TenantId) -> agents.Welcome | Refused:
        return await verbs.hello(tenant_id, request)

    @router.agent_verb(agents.REPORT, whose=asking_tenant, read=read_report)
    async def report(request: agents.Report, tenant_id: TenantId) -> agents.Reported | Refused:
        return await verbs.report(tenant_id, request)

    @router.agent_verb(agents.DRAIN, whose=asking_tenant)
    async def drain(request: agents.Drain, tenant_id: TenantId) -> Applied | Refused:
        return await verbs.drain(tenant_id, request)


def _signals(router: Router, dispatch: Dispatch) -> None:
    router.lean_signal(subjects.SIG_RUN_DUE, Benchmark.AGENT_DISPATCH)(dispatch.on_run_due)
    router.lean_signal(subjects.LOG, Benchmark.AGENT_DISPATCH, shared=True)(dispatch.lines.on_lines)


def _durables(router: Router, handlers: Handlers, drain: LogDrain) -> None:
    @router.durable(streams.durable("runs__work"), streams.WORK, WORK)
    async def on_work(work: Message) -> None:
        await handlers.on_work(work)

    @router.durable(
        streams.durable("runs__flows_archived"),
        streams.EVENTS,
        {subjects.FLOW_ARCHIVED: registry.FlowArchived},
    )
    async def on_flow_archived(event: registry.FlowArchived) -> None:
        await handlers.on_flow_archived(event)

    @router.durable(
        streams.durable("runs__flows_deleted"),
        streams.EVENTS,
        {subjects.FLOW_DELETED: registry.FlowDeleted},
    )
    async def on_flow_deleted(event: registry.FlowDeleted) -> None:
        await handlers.on_flow_deleted(event)

    @router.durable(
        streams.durable("runs__zombies"),
        streams.EVENTS,
        {subjects.FLOW_RUN_ZOMBIE_DETECTED: heartbeat.FlowRunZombieDetected},
    )
    async def on_zombie(event: heartbeat.FlowRunZombieDetected) -> None:
        await handlers.on_zombie(event)

    @router.batches(
        streams.LOG_DRAIN,
        streams.LOGS,
        Benchmark.RUNS,
        bodies=(runs.LogBatch,),
    )
    async def on_log_lines(messages: Sequence[Msg]) -> None:
        await drain.handle(messages)
