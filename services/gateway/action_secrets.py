"""Secrets in the configs of actions: they are named, never given. Pure.

A field that ends in `_secret` holds the name of a secret. The web UI's form for Teams is a text box "Webhook URL", so
people put the address itself there. It is a credential: the gateway seals it, and nobody reads it again.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

_SUFFIX = "_secret"
_ADDRESS = "webhook_url_secret"
_LONGEST = 2_048


def sealed_name(action_id: UUID) -> str:
    """The name that the sealed part of an action is bound to, beside its tenant."""
    return f"action:{action_id}"


def named_secrets(config: Mapping[str, Any]) -> dict[str, str]:
    """The names of secrets in a config, by the path of their field; an address is not a name."""
    return {
        f"config.{key}.{field}": value
        for key, fields in config.items()
        if isinstance(fields, Mapping)
        for field, value in fields.items()
        if field.endswith(_SUFFIX) and isinstance(value, str) and not _is_address(field, value)
    }


def without_address(config: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The config with its host alone in place of an address that was given as the name of a secret, and the address."""
    found: str | None = None
    shown: dict[str, Any] = {}
    for key, fields in config.items():
        shown[key] = fields
        if isinstance(fields, Mapping):
            value = fields.get(_ADDRESS)
            if isinstance(value, str) and _is_address(_ADDRESS, value):
                found = value.strip()
                host = urlsplit(found).hostname
                shown[key] = {**fields, _ADDRESS: f"https://{host}/... (sealed)"}
    return shown, found


def _is_address(field: str, value: str) -> bool:
    if field != _ADDRESS or len(value) > _LONGEST:
        return False
    try:
        parts = urlsplit(value.strip())
        return parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        return False
