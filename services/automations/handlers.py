"""One method per verb: check, write in one transaction, answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from libs.contracts import automations
from libs.contracts.automations import RUN_ACTIONS, EventType
from libs.contracts.base import Applied, JsonObject, Refused
from libs.contracts.errors import Code
from libs.runtime.clock import Clock
from libs.runtime.database import Connection, Database
from libs.runtime.ids import NewId
from services.automations import rule_store
from services.automations.domain import actions, hooks, noise, occurrences, slas, templates

_UPDATABLE = ("name", "is_active", "conditions", "throttle")
_TAGS_WITH_IDS = {
    "flow_group_id": ("flow_group_ids", "flow group"),
    "flow_sla_config_id": ("sla_config_ids", "SLA config"),
    "agent_config_id": ("agent_config_ids", "agent config"),
}


class Handlers:
    """The verbs of the automations."""

    def __init__(self, database: Database, *, clock: Clock, ids: NewId) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def create_action(
        self, command: automations.CreateAction
    ) -> automations.ActionCreated | Refused:
        """Make an action."""
        if (wrong := actions.fault_of_name(command.name)) is not None:
            return _invalid(wrong)
        action = actions.accept(command.config)
        if isinstance(action, str):
            return _invalid(action)
        group = action.config.get("flow_group_id")
        async with self._changing(command.tenant_id) as connection:
            if connection is None:
                return _no_tenant(command.tenant_id)
            if group is not None and (
                wrong := await _unknown(
                    connection, command.tenant_id, "flow_group_id", [str(group)],
                    field="config.flow_group_id",
                )
            ):  # fmt: skip
                return _invalid(wrong)
            await rule_store.insert_action(connection, command, action, at=self._clock())
        unknown = templates.unknown_names(action.config, occurrences.VARIABLES)
        if action.action_type in RUN_ACTIONS:
            unknown = []
        return automations.ActionCreated(id=command.action_id, unknown_names=unknown)

    async def delete_action(self, command: automations.DeleteAction) -> Applied:
        """Delete an action with its hooks."""
        async with self._changing(command.tenant_id) as connection:
            done = connection is not None and await rule_store.delete_action(
                connection, command.tenant_id, command.action_id
            )
        return Applied(id=command.action_id, success=done)

    async def create_hook(self, command: automations.CreateHook) -> Applied | Refused:
        """Make a hook."""
        conditions = command.conditions or {}
        tags = hooks.tags_of(command.event_type, command.event_tags)
        wrong = (
            actions.fault_of_name(command.name)
            or hooks.fault_of_conditions(conditions)
            or noise.fault_of_throttle(command.throttle)
            or (tags if isinstance(tags, str) else None)
        )
        if wrong is None and conditions and command.event_type is EventType.AGENT_SLA_FAILED:
            wrong = "conditions are about runs, and this hook waits for agents: leave them out"
        if wrong is not None or isinstance(tags, str):
            return _invalid(wrong or "")
        hook_id = self._ids()
        async with self._changing(command.tenant_id) as connection:
            if connection is None:
                return _no_tenant(command.tenant_id)
            if (wrong := await self._fault_of_hook(connection, command, tags)) is not None:
                return _invalid(wrong)
            await rule_store.insert_hook(
                connection,
                command.tenant_id,
                hook_id,
                action_id=command.action_id,
                event_type=command.event_type.value,
                event_tags=tags,
                name=command.name,
                conditions=conditions,
                throttle=command.throttle or None,
                created_by=command.created_by,
                at=self._clock(),
            )
        return Applied(id=hook_id)

    async def _fault_of_hook(
        self, connection: Connection, command: automations.CreateHook, tags: JsonObject
    ) -> str | None:
        """What the tables say against a hook, as a sentence, or None."""
        tenant_id = command.tenant_id
        action_type = await rule_store.type_of_action(connection, tenant_id, command.action_id)
        if action_type is None:
            return f"action_id: this tenant has no action {command.action_id}"
        if (wrong := noise.fault_of_throttled_action(action_type, command.throttle)) is not None:
            return wrong
        if await rule_store.count_hooks(connection, tenant_id) >= hooks.HOOK_LIMIT:
            return f"This tenant has {hooks.HOOK_LIMIT} hooks already, which is the most: delete one first"
        for tag, values in tags.items():
            if tag in _TAGS_WITH_IDS:
                wrong = await _unknown(connection, tenant_id, tag, values)
                if wrong is not None:
                    return wrong
        return None

    async def update_hook(self, command: automations.UpdateHook) -> Applied | Refused:
        """Name a hook, switch it on or off, or set its conditions."""
        changes = dict(command.changes)
        if not changes:
            return _invalid(f"update_hook: give one of {', '.join(_UPDATABLE)}")
        if unknown := changes.keys() - set(_UPDATABLE):
            return _invalid(f"{min(unknown)}: it is not one of {', '.join(_UPDATABLE)}")
        if "conditions" in changes:
            changes["conditions"] = changes["conditions"] or {}
        if "throttle" in changes:
            changes["throttle"] = changes["throttle"] or None
        wrong = (
            actions.fault_of_name(changes.get("name"))
            or hooks.fault_of_conditions(changes.get("conditions"))
            or noise.fault_of_throttle(changes.get("throttle"))
        )
        if wrong is None and not isinstance(changes.get("is_active", True), bool):
            wrong = "is_active must be true or false"
        if wrong is not None:
            return _invalid(wrong)
        async with self._changing(command.tenant_id) as connection:
            if connection is not None and changes.get("throttle"):
                action_type = await rule_store.type_of_hooks_action(
                    connection, command.tenant_id, command.hook_id
                )
                wrong = noise.fault_of_throttled_action(action_type, changes["throttle"])
                if wrong is not None:
                    return _invalid(wrong)
            done = connection is not None and await rule_store.update_hook(
                connection, command.tenant_id, command.hook_id, changes, at=self._clock()
            )
        return Applied(id=command.hook_id, success=done)

    async def delete_hook(self, command: automations.DeleteHook) -> Applied:
        """Delete a hook."""
        async with self._changing(command.tenant_id) as connection:
            done = connection is not None and await rule_store.delete_hook(
                connection, command.tenant_id, command.hook_id
            )
        return Applied(id=command.hook_id, success=done)

    async def create_flow_sla_config(
        self, command: automations.CreateFlowSlaConfig
    ) -> Applied | Refused:
        """Make a promise."""
        if (wrong := slas.fault_of_duration(command.duration_seconds)) is not None:
            return _invalid(wrong)
        config_id = self._ids()
        async with self._changing(command.tenant_id) as connection:
            if connection is None:
                return _no_tenant(command.tenant_id)
            await rule_store.insert_sla_config(connection, command, config_id, at=self._clock())
        return Applied(id=config_id)

    async def create_flow_group_sla(
        self, command: automations.CreateFlowGroupSla
    ) -> Applied | Refused:
        """Let a promise hold for a flow group."""
        async with self._changing(command.tenant_id) as connection:
            if connection is None:
                return _no_tenant(command.tenant_id)
            for tag in ("flow_sla_config_id", "flow_group_id"):
                wrong = await _unknown(
                    connection, command.tenant_id, tag, [str(getattr(command, tag))], field=tag
                )
                if wrong is not None:
                    return _invalid(wrong)
            link_id = await rule_store.insert_group_sla(
                connection, command, self._ids(), at=self._clock()
            )
        return Applied(id=link_id)

    @asynccontextmanager
    async def _changing(self, tenant_id: UUID) -> AsyncIterator[Connection | None]:
        """A transaction that changes the tenant's rules; None when the tenant is gone."""
        async with self._database.transaction() as connection:
            known = await rule_store.change_rules(connection, tenant_id)
            yield connection if known else None


async def _unknown(
    connection: Connection, tenant_id: UUID, tag: str, values: list[str], *, field: str = ""
) -> str | None:
    """A sentence about the first id that names nothing of this tenant, or None."""
    name, kind = _TAGS_WITH_IDS[tag]
    try:
        ids = [UUID(each) for each in values]
    except ValueError:
        return f"{field or name}: not every one is an id"
    unknown = await rule_store.unknown_ids(connection, tenant_id, tag, ids)
    return f"{field or name}: this tenant has no {kind} {unknown[0]}" if unknown else None


def _invalid(reason: str) -> Refused:
    return Refused(code=Code.INVALID, fields={"reason": reason})


def _no_tenant(tenant_id: UUID) -> Refused:
    return Refused(code=Code.TENANT_NOT_FOUND, fields={"tenant_id": str(tenant_id)})
