"""The tenants' rules in memory: hooks by what fires them, and the flow groups with an SLA.

Each change of a tenant's rules adds 1 to `ruleset.version` in its own transaction. Who uses rules reads that number
first, in the transaction in which the deliveries are written, and loads them anew if it is not the one they were loaded
at. So a replica never uses rules that were changed before its transaction began, and no signal can be lost.
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from libs.runtime.database import Connection
from services.automations import store
from services.automations.domain.hooks import Hooks

_TENANTS = 1_000
_FLOWS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one tenant at a version."""

    version: int
    hooks: Hooks
    groups_with_sla: frozenset[UUID]

    @property
    def are_about_flows(self) -> bool:
        """Whether any of them asks which flow it is."""
        return bool(self.groups_with_sla) or self.hooks.name_flows


class Rulesets:
    """The rules of the tenants that were asked for last."""

    def __init__(self, *, tenants: int = _TENANTS, flows: int = _FLOWS) -> None:
        self._most_tenants = tenants
        self._most_flows = flows
        self._rules: OrderedDict[UUID, Rules] = OrderedDict()
        self._groups: OrderedDict[UUID, UUID] = OrderedDict()

    async def of(self, connection: Connection, tenant_ids: Collection[UUID]) -> dict[UUID, Rules]:
        """The rules of these tenants as this transaction sees them; a tenant without any is left out."""
        versions = await store.versions_of(connection, tenant_ids)
        found: dict[UUID, Rules] = {}
        for tenant_id, version in versions.items():
            known = self._rules.get(tenant_id)
            if known is None or known.version != version:
                known = Rules(
                    version=version,
                    hooks=Hooks(await store.active_hooks(connection, tenant_id)),
                    groups_with_sla=frozenset(await store.groups_with_sla(connection, tenant_id)),
                )
                self._rules[tenant_id] = known
            self._rules.move_to_end(tenant_id)
            found[tenant_id] = known
        _shrink(self._rules, self._most_tenants)
        return found

    async def groups_of(
        self, connection: Connection, flow_ids: Collection[UUID]
    ) -> dict[UUID, UUID]:
        """The flow group of each flow that is known; kept in memory, since a flow never changes its group."""
        missing = [each for each in flow_ids if each not in self._groups]
        if missing:
            self._groups.update(await store.groups_of(connection, missing))
        found = {each: self._groups[each] for each in flow_ids if each in self._groups}
        _shrink(self._groups, self._most_flows)
        return found


def _shrink(kept: "OrderedDict[UUID, Rules] | OrderedDict[UUID, UUID]", most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
