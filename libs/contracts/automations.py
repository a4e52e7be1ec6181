"""The verbs of the automations: hooks, actions and SLAs. Wire names are those of Cloud 1.x."""

from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Applied, JsonObject, Message, Rpc


class EventType(StrEnum):
    """What a hook waits for."""

    STATE_CHANGED = "FlowRunStateChangedEvent"
    FLOW_SLA_FAILED = "FlowSLAFailedEvent"
    AGENT_SLA_FAILED = "AgentSLAFailedEvent"


class SlaKind(StrEnum):
    """What a flow SLA promises."""

    SCHEDULED_NOT_STARTED = "SCHEDULED_NOT_STARTED"
    STARTED_NOT_FINISHED = "STARTED_NOT_FINISHED"


class ActionType(StrEnum):
    """What is done when a hook fires; its key in `create_action`'s config is in the automations' rules."""

    WEBHOOK = "WebhookAction"
    SLACK = "SlackNotificationAction"
    TEAMS = "TeamsWebhookNotificationAction"
    EMAIL = "EmailNotificationAction"
    TWILIO = "TwilioNotificationAction"
    PAGERDUTY = "PagerDutyNotificationAction"
    INBOX = "InboxAction"
    APPRISE = "AppriseNotificationAction"
    CANCEL_FLOW_RUN = "CancelFlowRunAction"
    PAUSE_SCHEDULE = "PauseScheduleAction"
    CREATE_FLOW_RUN = "CreateFlowRunAction"


RUN_ACTIONS: frozenset[str] = frozenset(
    {ActionType.CANCEL_FLOW_RUN, ActionType.PAUSE_SCHEDULE, ActionType.CREATE_FLOW_RUN}
)
"""Actions that are commands to our own services; all others send something to a receiver."""


class CreateAction(Message):
    """Make an action. `config` has one key, such as `webhook`, with that action's fields; nulls are as if left out.

    `sealed` (base64) is what the gateway sealed under the name `action:<action_id>`, because it must never be read
    back. Refused: INVALID with the field's name.
    """

    tenant_id: UUID
    action_id: UUID
    name: str | None = None
    config: JsonObject
    sealed: str | None = None
    created_by: UUID | None = None


class ActionCreated(Message):
    """`unknown_names` are in braces in its templates and no event has them: they stay as they are written."""

    kind: Literal["applied"] = "applied"
    id: UUID
    unknown_names: list[str] = []


class DeleteAction(Message):
    """Delete an action with its hooks; what is still owed is not sent. `success` is false for an unknown id."""

    tenant_id: UUID
    action_id: UUID


class CreateHook(Message):
    """Let an action happen at certain events. Refused: INVALID with the field's name.

    `event_tags` is an object of lists: `state` and `flow_group_id` (absent or empty: every flow), `flow_sla_config_id`,
    or `agent_config_id`. `throttle` is `{"times": 5, "within_seconds": 60}`; the rest is told in one message.
    """

    tenant_id: UUID
    action_id: UUID
    event_type: EventType
    event_tags: dict[str, list[str]]
    name: str | None = None
    conditions: JsonObject | None = None
    throttle: JsonObject | None = None
    created_by: UUID | None = None


class UpdateHook(Message):
    """Set what `changes` names: name, is_active, conditions, throttle. `success` is false for an unknown id."""

    tenant_id: UUID
    hook_id: UUID
    changes: dict[str, Any]


class DeleteHook(Message):
    """Delete a hook; SLA configs that no hook names any more go too. `success` is false for an unknown id."""

    tenant_id: UUID
    hook_id: UUID


class CreateFlowSlaConfig(Message):
    """Make a promise: so many seconds from the scheduled start to the start, or from the start to the end."""

    tenant_id: UUID
    sla_kind: SlaKind
    duration_seconds: int


class CreateFlowGroupSla(Message):
    """Let a promise hold for a flow group. The same twice is one. Refused: INVALID for an unknown config or group."""

    tenant_id: UUID
    flow_sla_config_id: UUID
    flow_group_id: UUID


CREATE_ACTION = Rpc(subjects.CREATE_ACTION, CreateAction, ActionCreated)
DELETE_ACTION = Rpc(subjects.DELETE_ACTION, DeleteAction, Applied)
CREATE_HOOK = Rpc(subjects.CREATE_HOOK, CreateHook, Applied)
UPDATE_HOOK = Rpc(subjects.UPDATE_HOOK, UpdateHook, Applied)
DELETE_HOOK = Rpc(subjects.DELETE_HOOK, DeleteHook, Applied)
CREATE_FLOW_SLA_CONFIG = Rpc(subjects.CREATE_FLOW_SLA_CONFIG, CreateFlowSlaConfig, Applied)
CREATE_FLOW_GROUP_SLA = Rpc(subjects.CREATE_FLOW_GROUP_SLA, CreateFlowGroupSla, Applied)
