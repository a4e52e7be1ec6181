"""The gateway's verbs for the automations: what only the gateway may read or write, at the moment of sending."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from libs.contracts import subjects
from libs.contracts.base import Applied, JsonObject, Message, Rpc


def sealed_as(action_id: UUID) -> str:
    """The name under which an action's own secret is sealed, and its label in `OpenSecrets.sealed`."""
    return f"action:{action_id}"


class OpenSecrets(Message):
    """Return the values of a tenant's secrets by name, and of what was sealed elsewhere, by a label.

    `sealed` is hexadecimal; it was sealed for this tenant under its label.
    """

    tenant_id: UUID
    names: list[str] = []
    sealed: dict[str, str] = {}


class OpenedSecrets(Message):
    """The values by name and label. `missing` do not exist; `unreadable` were sealed under another key.

    `repr` shows no value: a message in an error or a log must not give away a secret.
    """

    kind: Literal["opened"] = "opened"
    values: dict[str, Any] = Field(default={}, repr=False)
    missing: list[str] = []
    unreadable: list[str] = []


class AddMessage(Message):
    """Put a message into a tenant's inbox. The same id again changes nothing."""

    id: UUID
    tenant_id: UUID
    type: str
    text: str
    content: JsonObject


class SwitchOffCloudHook(Message):
    """Its receiver answered 410: it is gone for good. `success` is false when the tenant has no such hook."""

    tenant_id: UUID
    cloud_hook_id: UUID


class MayAct(Message):
    """Whether an automation may do now what this mutation does, with the rights that its user has now.

    Either answer is in the audit trail. `user_id` is None where nobody is known, as without API keys.
    """

    tenant_id: UUID
    mutation: Literal["cancel_flow_run", "set_schedule_inactive", "create_flow_run"]
    user_id: UUID | None = None
    object_id: UUID | None = None
    hook_id: UUID | None = None
    delivery_id: UUID


class MayActAnswer(Message):
    """`missing` are the permissions that the user has lost; empty: it may."""

    kind: Literal["judged"] = "judged"
    missing: list[str] = []


OPEN_SECRETS = Rpc(subjects.OPEN_SECRETS, OpenSecrets, OpenedSecrets)
ADD_MESSAGE = Rpc(subjects.ADD_MESSAGE, AddMessage, Applied)
SWITCH_OFF_CLOUD_HOOK = Rpc(subjects.SWITCH_OFF_CLOUD_HOOK, SwitchOffCloudHook, Applied)
MAY_ACT = Rpc(subjects.MAY_ACT, MayAct, MayActAnswer)
