"""A scheduler and a ledger on one stack, and what is ahead of a flow as they have planned it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.contracts import registry, runs
from libs.contracts.base import Applied
from libs.contracts.runs import RunKind
from libs.runtime.clock import utc_now
from libs.runtime.ids import new_id
from services.runs.app import Runs
from services.scheduler.app import Scheduler, build
from services.scheduler.planner import PATIENCE
from services.scheduler.settings import SchedulerSettings
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, ledger_on, register_flow
from tests.support.running import running

DAWN = datetime(2040, 1, 1, tzinfo=UTC)
"""Far from any clock that a test machine may show, so that no instant passes while a test looks."""


def hour(n: int) -> datetime:
    """The n-th hour of 2040."""
    return DAWN + timedelta(hours=n)


def at_hours(*hours: int, labels: list[str] | None = None, **parameters: Any) -> dict[str, Any]:
    """A clock of these hours of 2040."""
    dates = [{"dt": hour(n).replace(tzinfo=None).isoformat(), "tz": "UTC"} for n in hours]
    return {
        "type": "DatesClock",
        "dates": dates,
        "parameter_defaults": parameters,
        "labels": labels,
    }


def schedule(*clocks: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule of these clocks."""
    return {"type": "Schedule", "clocks": list(clocks)}


@dataclass(frozen=True, slots=True)
class Planning:
    """Both services, and a client."""

    stack: Stack
    scheduler: Scheduler
    ledger: Runs
    client: Client

    async def flow(self, *clocks: Mapping[str, Any], **columns: Any) -> Flow:
        """A flow with this schedule, with what is ahead of it in the ledger."""
        made = await register_flow(
            self.stack.admin_pool,
            tenant_id=self.client.tenant_id,
            **{"schedule": schedule(*clocks)} | columns,
        )
        await self.tick()
        return made

    async def tick(self) -> None:
        """The scheduler looks at the registry; the ledger does what it is told."""
        await self.scheduler.planner.tick()
        await self.settled()

    async def compare(self) -> int:
        """The scheduler looks at the ledger, when all that is on its way should have arrived."""
        found = await self.scheduler.planner.compare(utc_now() + 2 * PATIENCE)
        await self.settled()
        return found

    async def settled(self) -> None:
        """Until the work queue is empty and acknowledged."""

        async def empty() -> bool:
            info = await self.scheduler.bus.js.stream_info("WORK")
            return info.state.messages == 0

        assert await eventually(empty)

    async def change(self, what: Flow, **columns: Any) -> None:
        """Set columns of the flow."""
        await self._update("registry.flow", what.id, columns)

    async def change_group(self, what: Flow, **columns: Any) -> None:
        """Set columns of the flow's group."""
        await self._update("registry.flow_group", what.group_id, columns)

    async def _update(self, table: str, row: UUID, columns: Mapping[str, Any]) -> None:
        for column, value in columns.items():
            await self.stack.admin_pool.execute(
                f"UPDATE {table} SET {column} = $2 WHERE id = $1", row, value
            )

    async def planned(self, flow: Flow) -> list[Any]:
        """The flow's pending runs, oldest first."""
        rows: list[Any] = await self.stack.admin_pool.fetch(
            """
            SELECT id, scheduled_start_time AS at, parameters, labels, run_config FROM runs.flow_run
            WHERE flow_id = $1 AND auto_scheduled AND state = 'Scheduled' AND version = 1 ORDER BY 2, 1
            """,
            flow.id,
        )
        return rows

    async def hours(self, flow: Flow) -> list[int]:
        """The hours of 2040 at which the flow has pending runs, one for each run."""
        return [round((row["at"] - DAWN) / timedelta(hours=1)) for row in await self.planned(flow)]

    async def run_at(self, flow: Flow, n: int) -> UUID:
        """The flow's run of that hour."""
        run: UUID = await self.stack.admin_pool.fetchval(
            "SELECT id FROM runs.flow_run WHERE flow_id = $1 AND scheduled_start_time = $2",
            flow.id,
            hour(n),
        )
        return run

    async def delete(self, run: UUID) -> bool:
        """Delete a run, as a person does."""
        answer = await self.client.bus.call(
            runs.DELETE_FLOW_RUN,
            runs.DeleteFlowRun(tenant_id=self.client.tenant_id, flow_run_id=run),
        )
        assert isinstance(answer, Applied)
        return answer.success

    async def switch_on_again(self, flow: Flow) -> None:
        """A person switches on the schedule, which is on: the scheduler hears of it from the registry."""
        await self.scheduler.planner.on_flow_event(
            registry.FlowScheduleChanged(
                event_id=new_id(),
                at=utc_now(),
                tenant_id=flow.tenant_id,
                flow_id=flow.id,
                flow_group_id=flow.group_id,
                on_again=True,
            )
        )
        await self.tick()

    async def rename(self, run: UUID, **changes: Any) -> None:
        """Set a run's name or labels, as a person does."""
        answer = await self.client.bus.call(
            runs.UPDATE_RUN,
            runs.UpdateRun(
                tenant_id=self.client.tenant_id, run_kind=RunKind.FLOW_RUN, run_id=run, **changes
            ),
        )
        assert isinstance(answer, Applied)
        assert answer.success

    async def lose(self, flow: Flow, hours: Sequence[int]) -> None:
        """Delete runs behind everybody's back, as a person at a psql prompt does."""
        await self.stack.admin_pool.execute(
            "DELETE FROM runs.flow_run WHERE flow_id = $1 AND scheduled_start_time = ANY($2)",
            flow.id,
            [hour(n) for n in hours],
        )

    async def replace(self, old: Flow, *clocks: Mapping[str, Any], version: int = 2) -> Flow:
        """Register the next version: it archives the others of the group, as the registry does."""
        await self.change(old, archived=True)
        return await register_flow(
            self.stack.admin_pool,
            tenant_id=old.tenant_id,
            group_id=old.group_id,
            version=version,
            schedule=schedule(*clocks),
        )

    async def hear_of_archiving(self, flow: Flow) -> None:
        """The event of the archiving reaches the ledger."""
        await self.ledger.handlers.on_flow_archived(
            registry.FlowArchived(
                event_id=new_id(),
                at=utc_now(),
                tenant_id=flow.tenant_id,
                flow_id=flow.id,
                flow_group_id=flow.group_id,
            )
        )


@asynccontextmanager
async def planning_on(stack: Stack) -> AsyncIterator[Planning]:
    """Both services, without loops: tests call their verbs. One world's rows are not another's."""
    settings = SchedulerSettings(
        postgres_url=stack.postgres_url("scheduler"), nats_url=stack.nats_url
    )
    async with (
        running(build(settings), ticks=False) as scheduler,
        ledger_on(stack) as ledger,
        bus_on(stack) as bus,
    ):
        for loop in ledger.loops:
            if loop.name != "outbox":
                await loop.stop()
        yield Planning(stack, scheduler, ledger, Client(bus, new_id()))
