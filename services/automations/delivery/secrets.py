"""Secrets, opened when something is sent and forgotten after it. Only the gateway can open them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.gateway import OPEN_SECRETS, OpenSecrets, sealed_as
from libs.runtime.bus import Bus
from services.automations.domain.outgoing import SecretMissingError
from services.automations.domain.senders import SEALED_FIELD, secrets_of


class CannotAskError(Exception):
    """No gateway answers now. It is our outage, not the receiver's: nothing was tried."""


class Secrets:
    """Asks the gateway."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def of_action(
        self,
        tenant_id: UUID,
        action_id: UUID,
        action_type: str,
        config: Mapping[str, Any],
        sealed: bytes | None,
    ) -> dict[str, str]:
        """The opened secrets of an action by its fields. SecretMissingError names what cannot be had."""
        names = secrets_of(action_type, config)
        label = sealed_as(action_id)
        field = SEALED_FIELD.get(action_type)
        boxes: dict[str, str] = {}
        if sealed is not None and field is not None:
            names.pop(field, None)
            boxes[label] = sealed.hex()
        if not names and not boxes:
            return {}
        request = OpenSecrets(tenant_id=tenant_id, names=sorted(set(names.values())), sealed=boxes)
        answer = await self._bus.call(OPEN_SECRETS, request)
        if isinstance(answer, Refused):
            msg = "no gateway opens secrets now"
            raise CannotAskError(msg)
        if answer.missing:
            msg = f"there is no secret named {answer.missing[0]}"
            raise SecretMissingError(msg)
        if answer.unreadable:
            msg = (
                f"the secret {answer.unreadable[0]} was stored under another HEADWATER_KEY_PEPPER; set"
                " it again"
            )
            raise SecretMissingError(msg)
        opened = {each: _text(name, answer.values[name]) for each, name in names.items()}
        if field is not None and label in boxes:
            opened[field] = _text(field, answer.values[label])
        return opened


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        msg = f"the secret {name} is no text"
        raise SecretMissingError(msg)
    return value.strip()
