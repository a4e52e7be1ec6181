"""Upkeep: what lost events left undone, rules about things that are gone, and rows that nobody needs any more."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from libs.contracts.registry import FlowGroupDeleted
from libs.runtime.database import Connection, Database, statement
from libs.runtime.ids import NewId
from services.automations import cloud_hooks, rule_store
from services.automations.changes import Changes
from services.automations.domain.changes import Change
from services.automations.planning import SWEEP, plan_deadlines, unplanned
from services.automations.rulesets import Rulesets

OVERLAP = timedelta(minutes=2)
"""Searched again: a transaction of the ledger may commit this long after the time of its states."""
LAG = timedelta(seconds=20)
"""Not searched yet: the events of the newest states are still under way."""
AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The numbers of one sweep."""

    deliveries: int = 0
    deadlines: int = 0
    pruned: int = 0


class Upkeep:
    """Replicas may sweep at once: rows are locked, keys are unique."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        rulesets: Rulesets,
        *,
        ids: NewId,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._changes = changes
        self._rulesets = rulesets
        self._ids = ids
        self._log = log

    async def tick(self, now: datetime | None = None) -> Swept:
        """One round of everything. Tests pass a time."""
        swept = Swept(
            deliveries=await self.search_histories(now),
            deadlines=await self.plan(),
            pruned=await self.prune(),
        )
        if swept.deliveries or swept.pruned:
            # Events that were lost, or rules that outlived what they name: neither is everyday work.
            self._log.warning(
                "automations_repaired", deliveries=swept.deliveries, pruned=swept.pruned
            )
        return swept

    async def search_histories(self, now: datetime | None = None) -> int:
        """Owe what the ledger's histories say and no event did: JetStream's store may have been lost."""
        found = 0
        async with self._database.transaction() as connection:
            await cloud_hooks.note_tenants(connection, now)
            tenants = await connection.fetch(
                "SELECT tenant_id, swept FROM automations.ruleset"
                " WHERE swept < coalesce($1, now()) - $2::interval ORDER BY swept LIMIT 1000",
                now,
                LAG,
            )
        for row in tenants:
            async with self._database.transaction() as connection:
                found += await self._search(connection, row["tenant_id"], now)
        return found

    async def _search(self, connection: Connection, tenant_id: UUID, now: datetime | None) -> int:
        since: datetime | None = await connection.fetchval(
            "SELECT swept FROM automations.ruleset WHERE tenant_id = $1 FOR NO KEY UPDATE SKIP LOCKED",
            tenant_id,
        )
        if since is None:
            return 0
        until: datetime = now or await connection.fetchval("SELECT now()")
        until -= LAG
        rules = await self._rulesets.of(connection, [tenant_id])
        waited_for = rules[tenant_id].hooks.states if tenant_id in rules else set()
        states = sorted(waited_for | await cloud_hooks.states_waited_for(connection, tenant_id))
        rows = []
        if states:
            rows = await connection.fetch(
                statement(__file__, "changes_without_delivery"),
                tenant_id,
                since - OVERLAP,
                until,
                states,
                AT_ONCE,
            )
        new = await self._changes.record(
            connection, [Change(**dict(row)) for row in rows], late=True
        )
        if len(rows) == AT_ONCE:
            # More than one round; the overlap is looked at again, so the end must move on.
            until = max(rows[-1]["at"], since + timedelta(seconds=1))
        await connection.execute(
            "UPDATE automations.ruleset SET swept = greatest(swept, $2) WHERE tenant_id = $1",
            tenant_id,
            until,
        )
        return new

    async def plan(self) -> int:
        """Plan deadlines of runs whose events were lost, and forget those that are over; returns the new ones."""
        planned = 0
        while True:
            async with self._database.transaction() as connection:
                found = await unplanned(connection)
                new = await plan_deadlines(connection, found, ids=self._ids) if found else 0
            planned += new
            if len(found) < SWEEP or not new:
                break
        async with self._database.transaction() as connection:
            await connection.execute(statement(__file__, "forget_deadlines"), AT_ONCE)
        return planned

    async def prune(self) -> int:
        """Drop deleted flow groups and agent configs out of hooks; returns how many hooks were changed or deleted."""
        async with self._database.transaction() as connection:
            stale = await rule_store.stale_tags(connection)
            for tenant_id, tag, gone in stale:
                await rule_store.prune(connection, tenant_id, tag, gone)
            await rule_store.collect_slas(connection)
        return len(stale)

    async def on_flow_group_deleted(self, event: FlowGroupDeleted) -> None:
        """A flow group is gone: hooks do not name it any more, and a hook for no other flow goes with it."""
        async with self._database.transaction() as connection:
            await rule_store.prune(
                connection, event.tenant_id, "flow_group_id", event.flow_group_id
            )
