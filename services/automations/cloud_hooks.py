"""Which cloud hooks a state change calls. The gateway keeps them (`gateway.cloud_hook`).

They are read in the transaction that writes their deliveries. So a hook counts from the answer on with which it was
made, and one that was deleted or switched off before is owed nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.automations import EventType
from libs.contracts.base import JsonObject
from libs.runtime.database import Connection, statement
from libs.runtime.records import RecordStatement
from services.automations.domain import occurrences
from services.automations.domain.changes import Change
from services.automations.store import Owed

_CALLED = RecordStatement(__file__, "called_cloud_hooks", change=Change)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A cloud hook that a change calls. `beyond` is what Server's payload has beyond the variables of templates."""

    change: Change
    cloud_hook_id: UUID
    beyond: JsonObject


async def called_by(
    connection: Connection, changes: Sequence[Change], *, late: bool = False
) -> list[Call]:
    """The calls of these changes. `late`: hooks that were made or changed since the change do not count."""
    if not changes:
        return []
    by_version = {(each.flow_run_id, each.version): each for each in changes}
    rows = await _CALLED.fetch(connection, change=changes, late=late)
    calls = []
    for row in rows:
        change = by_version[row["flow_run_id"], row["version"]]
        beyond: JsonObject = {
            # The run as it was before this state, as Server sends it.
            "flow_run_version": change.version - 1,
            "previous_state": row["previous_state"],
            "state_id": None if row["state_id"] is None else str(row["state_id"]),
            "state_version": change.version,
            "serialized_state": row["serialized_state"],
            "version_group_id": row["version_group_id"],
        }
        calls.append(Call(change=change, cloud_hook_id=row["cloud_hook_id"], beyond=beyond))
    return calls


def owed_to(call: Call, *, id_: UUID, event: JsonObject) -> Owed:
    """What a cloud hook is owed for the event of its change."""
    return Owed(
        id=id_,
        tenant_id=call.change.tenant_id,
        cloud_hook_id=call.cloud_hook_id,
        event_id=call.change.event_id,
        event_type=EventType.STATE_CHANGED,
        event=event | call.beyond,
        dedup=occurrences.dedup_of(call.cloud_hook_id, call.change.event_id),
    )


async def states_waited_for(connection: Connection, tenant_id: UUID) -> set[str]:
    """The states, in lower case, that an active cloud hook of the tenant waits for."""
    rows = await connection.fetch(
        "SELECT DISTINCT lower(s.state) AS state FROM gateway.cloud_hook k"
        " CROSS JOIN LATERAL jsonb_array_elements_text(k.states) AS s (state)"
        " WHERE k.tenant_id = $1 AND k.active AND jsonb_typeof(k.states) = 'array'",
        tenant_id,
    )
    return {row["state"] for row in rows}


async def note_tenants(connection: Connection, now: datetime | None) -> None:
    """Let the histories of tenants be searched that have cloud hooks and no other rules."""
    await connection.execute(statement(__file__, "tenants_of_cloud_hooks"), now)


def runs_of(calls: Iterable[Call]) -> set[tuple[UUID, UUID]]:
    """The runs that were changed, as (tenant, run)."""
    return {(call.change.tenant_id, call.change.flow_run_id) for call in calls}
