"""A ledger under test: the service on a stack, flows written straight into the registry's tables, and short verbs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.contracts import runs
from libs.contracts.base import Refused
from libs.contracts.runs import RunKind, StateApplied, StateProposal, VersionConflict
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock, utc_now
from libs.runtime.ids import new_id
from services.runs.app import Runs
from services.runs.settings import RunsSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.running import running

SWEEPS = ("upkeep", "sweep", "slots", "left_task_runs", "lateness", "cancellations")
"""Loops of the ledger that mend what was missed; the tests call them, and count what they did."""

Outcome = StateApplied | VersionConflict | Refused


@asynccontextmanager
async def ledger_on(
    stack: Stack, *, clock: Clock = utc_now, **settings: Any
) -> AsyncIterator[Runs]:
    """A started ledger on the stack, whose sweeps wait for the test."""
    urls = {"postgres_url": stack.postgres_url("runs"), "nats_url": stack.nats_url}
    service = Runs(RunsSettings(**urls | settings), clock=clock)
    async with running(service, held=SWEEPS):
        yield service


@asynccontextmanager
async def impatient_ledger_on(stack: Stack, **dispatch: str) -> AsyncIterator[Runs]:
    """A ledger that looks after agents often, so that tests need not wait; `dispatch` are more of those settings."""
    settings = {"kill_after": "PT2S", "renew": "PT0.5S"} | dispatch
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(f"HEADWATER_DISPATCH_{name.upper()}", value)
        async with ledger_on(stack) as ledger:
            yield ledger


@asynccontextmanager
async def bus_on(stack: Stack) -> AsyncIterator[Bus]:
    """A connected bus that serves nothing."""
    bus = Bus(stack.nats_url, service="test", drain_timeout=1)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


async def stored_messages(bus: Bus, stream: str, subject: str, *, count: int) -> list[bytes]:
    """The first messages of a stream on one subject, waiting until there are so many."""
    subscription = await bus.js.subscribe(subject, stream=stream, ordered_consumer=True)
    try:
        return [(await subscription.next_msg(timeout=10)).data for _ in range(count)]
    finally:
        await subscription.unsubscribe()


async def caught_up(bus: Bus, stream: str, durable: str) -> None:
    """Wait until everything that was sent to a durable has been handled and acknowledged."""

    async def done() -> bool:
        info = await bus.js.consumer_info(stream, durable)
        return (info.num_pending, info.num_ack_pending) == (0, 0)

    await eventually(done, timeout=120, pause=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A registered flow."""

    id: UUID
    group_id: UUID
    tenant_id: UUID
    task_ids: tuple[UUID, ...]


async def tenant_with_flow(pool: "asyncpg.Pool[asyncpg.Record]", **columns: Any) -> Flow:
    """A flow of a tenant that the gateway knows, as agents must have one."""
    flow = await register_flow(pool, **columns)
    await _insert(
        pool, "gateway.tenant", id=flow.tenant_id, name="tenant", slug=str(flow.tenant_id)
    )
    return flow


async def register_flow(
    pool: "asyncpg.Pool[asyncpg.Record]",
    *,
    tenant_id: UUID | None = None,
    tasks: int = 1,
    archived: bool = False,
    is_schedule_active: bool = True,
    settings: dict[str, Any] | None = None,
    group: dict[str, Any] | None = None,
    group_id: UUID | None = None,
    version: int = 1,
    max_retries: int = 0,
    **columns: Any,
) -> Flow:
    """Write a flow with its project, group and tasks. `group` and `columns` set columns of group and flow."""
    tenant_id = tenant_id or new_id()
    project_id, flow_id = new_id(), new_id()
    await _insert(
        pool, "registry.project", id=project_id, tenant_id=tenant_id, name=f"project {project_id}"
    )
    if group_id is None:
        group_id = new_id()
        await _insert(
            pool,
            "registry.flow_group",
            id=group_id,
            tenant_id=tenant_id,
            name=f"group {group_id}",
            settings=settings or {},
            **(group or {}),
        )
    await _insert(
        pool,
        "registry.flow",
        **{
            "id": flow_id,
            "tenant_id": tenant_id,
            "project_id": project_id,
            "flow_group_id": group_id,
            "name": "a flow",
            "version": version,
            "version_group_id": f"group {group_id}",
            "archived": archived,
            "is_schedule_active": is_schedule_active,
        }
        | columns,
    )
    task_ids = tuple(sorted(new_id() for _ in range(tasks)))
    await pool.executemany(
        "INSERT INTO registry.task (id, tenant_id, flow_id, name, slug, max_retries) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (id_, tenant_id, flow_id, f"task {place}", f"task-{place}", max_retries)
            for place, id_ in enumerate(task_ids)
        ],
    )
    return Flow(id=flow_id, group_id=group_id, tenant_id=tenant_id, task_ids=task_ids)


async def _insert(pool: "asyncpg.Pool[asyncpg.Record]", table: str, **columns: Any) -> None:
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    await pool.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", *columns.values()
    )


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to the ledger as the gateway does, for one tenant."""

    bus: Bus
    tenant_id: UUID
    agent_id: UUID | None = field(default=None)

    async def create(self, flow: Flow, **fields: Any) -> UUID:
        """A new run's id; a refusal fails the test."""
        reply = await self.ask_create(flow_id=flow.id, **fields)
        assert isinstance(reply, runs.FlowRunCreated), reply
        return reply.id

    async def ask_create(self, **fields: Any) -> runs.FlowRunCreated | Refused:
        """Ask for a run."""
        return await self.bus.call(
            runs.CREATE_FLOW_RUN, runs.CreateFlowRun(tenant_id=self.tenant_id, **fields)
        )

    async def set(
        self, run_id: UUID, state: Any, *, kind: RunKind = RunKind.FLOW_RUN, **fields: Any
    ) -> Outcome:
        """Propose one state, given as JSON or as the name of its type."""
        proposal = StateProposal(
            run_kind=kind,
            run_id=run_id,
            state={"type": state} if isinstance(state, str) else state,
            **fields,
        )
        [outcome] = await self.set_all([proposal])
        return outcome

    async def set_task(self, run_id: UUID, state: Any, **fields: Any) -> Outcome:
        """Propose one state of a task run."""
        return await self.set(run_id, state, kind=RunKind.TASK_RUN, **fields)

    async def set_all(self, proposals: Sequence[StateProposal]) -> list[Outcome]:
        """Propose several states in one request."""
        reply = await self.bus.call(
            runs.SET_STATES,
            runs.SetStates(
                tenant_id=self.tenant_id, proposals=list(proposals), agent_id=self.agent_id
            ),
        )
        assert isinstance(reply, runs.StatesSet), reply
        return reply.outcomes

    async def start(self, flow: Flow, **fields: Any) -> UUID:
        """A run that is Running, the way agents and runners take it there."""
        run_id = await self.create(flow, **fields)
        for state in ("Submitted", "Running"):
            outcome = await self.set(run_id, state)
            assert isinstance(outcome, StateApplied), outcome
        return run_id

    async def task_run(
        self, flow_run_id: UUID, task_id: UUID, map_index: int = -1
    ) -> runs.TaskRunInfo:
        """The task run, made if absent."""
        reply = await self.bus.call(
            runs.GET_OR_CREATE_TASK_RUN,
            runs.GetOrCreateTaskRun(
                tenant_id=self.tenant_id,
                flow_run_id=flow_run_id,
                task_id=task_id,
                map_index=map_index,
            ),
        )
        assert isinstance(reply, runs.TaskRunInfo), reply
        return reply

    async def cancel(self, run_id: UUID) -> runs.FlowRunCancelled | Refused:
        """Cancel a run."""
        return await self.bus.call(
            runs.CANCEL_FLOW_RUN,
            runs.CancelFlowRun(tenant_id=self.tenant_id, flow_run_id=run_id),
        )

    async def queue(
        self, *labels: str, before: datetime | None = None, limit: int = 25
    ) -> list[UUID]:
        """The due runs that an agent with these labels is offered."""
        reply = await self.bus.call(
            runs.GET_RUNS_IN_QUEUE,
            runs.GetRunsInQueue(
                tenant_id=self.tenant_id,
                labels=list(labels),
                before=before,
                agent_id=self.agent_id,
                limit=limit,
            ),
        )
        assert isinstance(reply, runs.RunsInQueue), reply
        return reply.flow_run_ids


async def running_flow_run(stack: Stack, bus: Bus) -> tuple[Client, Flow, UUID]:
    """A new tenant with a flow and a run that is Running: its client, the flow, and the run's id."""
    flow = await register_flow(stack.admin_pool)
    client = Client(bus, flow.tenant_id)
    return client, flow, await client.start(flow)
