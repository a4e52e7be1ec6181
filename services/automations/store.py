"""The SQL of the automations. Functions take a connection inside its transaction; none commits.

Every statement names the tenant of its rows, but for those that look for due work of all tenants.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from libs.contracts.base import JsonObject
from libs.runtime.database import Connection, statement
from libs.runtime.records import RecordStatement
from services.automations.domain.hooks import Conditions, Hook
from services.automations.domain.noise import throttle_of

_sql = partial(statement, __file__)

SENT_TO_OURSELVES = "headwater"
"""The receiver of actions on runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A delivery that is owed for an event. With `failed` or `muted` it is not done, and says why.

    `status`: counted or digested rows are not sent themselves; `told_in` is the delivery that tells of them.
    """

    id: UUID
    tenant_id: UUID
    event_id: UUID
    event_type: str
    event: JsonObject
    dedup: str
    action_id: UUID | None = None
    hook_id: UUID | None = None
    cloud_hook_id: UUID | None = None
    chain: Sequence[str] = ()
    receiver: str | None = None
    failed: str | None = None
    muted: str | None = None
    status: str | None = None
    told_in: UUID | None = None
    due_after: timedelta = timedelta(0)

    @property
    def begins_as(self) -> str:
        """The status that it is stored with."""
        if self.failed is not None:
            return "failed"
        return "muted" if self.muted is not None else self.status or "pending"


class _OwedRow(NamedTuple):
    id: UUID
    tenant_id: UUID
    action_id: UUID | None
    hook_id: UUID | None
    cloud_hook_id: UUID | None
    event_id: UUID
    event_type: str
    event: JsonObject
    dedup: str
    chain: str
    receiver: str | None
    status: str
    reason: str | None
    told_in: UUID | None
    due_after: timedelta


_ENQUEUE = RecordStatement(__file__, "enqueue", owed=_OwedRow)


async def enqueue(connection: Connection, deliveries: Iterable[Owed]) -> set[UUID]:
    """Owe these deliveries, each once whatever happens; returns the ids of the new ones.

    Call it in the transaction that records the event as done. An action that was deleted meanwhile owes nothing.
    """
    rows = [
        _OwedRow(
            id=each.id,
            tenant_id=each.tenant_id,
            action_id=each.action_id,
            hook_id=each.hook_id,
            cloud_hook_id=each.cloud_hook_id,
            event_id=each.event_id,
            event_type=each.event_type,
            event=each.event,
            dedup=each.dedup,
            chain=orjson.dumps(list(each.chain)).decode(),
            receiver=each.receiver,
            status=each.begins_as,
            reason=each.failed or each.muted,
            told_in=each.told_in,
            due_after=each.due_after,
        )
        for each in deliveries
    ]
    if not rows:
        return set()
    # In one order, so that two transactions with the same keys do not wait for each other in a circle.
    rows.sort(key=lambda row: row.dedup)
    return {row["id"] for row in await _ENQUEUE.fetch(connection, owed=rows)}


# rules


async def versions_of(connection: Connection, tenant_ids: Collection[UUID]) -> dict[UUID, int]:
    """The versions of these tenants' rules; a tenant that never had any has none."""
    rows = await connection.fetch(
        "SELECT tenant_id, version FROM automations.ruleset WHERE tenant_id = ANY ($1::uuid[])",
        list(tenant_ids),
    )
    return {row["tenant_id"]: row["version"] for row in rows}


async def active_hooks(connection: Connection, tenant_id: UUID) -> list[Hook]:
    """The hooks of a tenant that are switched on."""
    rows = await connection.fetch(_sql("active_hooks"), tenant_id)
    return [
        Hook(
            id=row["id"],
            action_id=row["action_id"],
            action_type=row["action_type"],
            event_type=row["event_type"],
            event_tags=row["event_tags"],
            conditions=Conditions.of(row["conditions"]),
            throttle=throttle_of(row["action_type"], row["throttle"]),
            updated=row["updated"],
        )
        for row in rows
    ]


async def groups_with_sla(connection: Connection, tenant_id: UUID) -> set[UUID]:
    """The flow groups of a tenant that an SLA holds for."""
    rows = await connection.fetch(
        "SELECT DISTINCT flow_group_id FROM automations.flow_group_sla WHERE tenant_id = $1",
        tenant_id,
    )
    return {row["flow_group_id"] for row in rows}


async def groups_of(connection: Connection, flow_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The flow groups of these flows; a flow is in one for ever."""
    rows = await connection.fetch(
        "SELECT id, flow_group_id FROM registry.flow WHERE id = ANY ($1::uuid[])", list(flow_ids)
    )
    return {row["id"]: row["flow_group_id"] for row in rows}


# runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the tables say of a run. What is deleted is None."""

    tenant_id: UUID
    tenant_slug: str
    flow_run_id: UUID
    flow_run_name: str | None
    flow_id: UUID | None
    flow_group_id: UUID | None
    flow_name: str | None
    project: str | None
    labels: list[str] | None
    parameters: dict[str, Any] | None
    start_time: datetime | None
    end_time: datetime | None
    state_message: str | None
    caused_by: UUID | None
    causes: list[str] | None
    is_paused: bool
    """Whether the tenant's work queue is paused: no run is given out."""


async def facts(connection: Connection, runs: Collection[tuple[UUID, UUID]]) -> dict[UUID, Facts]:
    """The facts about these runs, given as (tenant, run), by the run's id. Tenants that are gone have none."""
    rows = await connection.fetch(
        _sql("facts"), [tenant for tenant, _ in runs], [run for _, run in runs]
    )
    return {row["flow_run_id"]: Facts(**dict(row)) for row in rows}
