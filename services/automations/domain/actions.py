"""What an action may be: one key of `create_action`'s config, and the fields below it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from libs.contracts.automations import ActionType
from libs.contracts.base import JsonObject
from libs.runtime.reported import faults

TEMPLATE_LIMIT = 8 * 1024
"""Bytes of one template, as JSON."""
NAME_LIMIT = 255
_ADDRESSES = 50
_URL_LIMIT = 2_048
_ADDRESS = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{2,30}")
_SEVERITIES = ("info", "warning", "error", "critical")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z{}-]{1,256}")

Check = Callable[[Any], str | None]
"""What is wrong with a value, to follow the name of its field; None: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of an action's config."""

    check: Check
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAction:
    """An action that may be stored: `config` is the inner object, without nulls."""

    action_type: ActionType
    config: JsonObject


def accept(config: Mapping[str, Any]) -> NewAction | str:
    """The action that a config means, or a sentence about what is wrong with it."""
    given = {key: value for key, value in config.items() if value is not None}
    if len(given) != 1:
        known, named = ", ".join(KINDS), ", ".join(given) or "none"
        return f"config: give exactly one of {known}, not {len(given)} ({named})"
    [(key, fields)] = given.items()
    if key not in KINDS:
        return f"config.{key}: there is no such action; give one of {', '.join(KINDS)}"
    if not isinstance(fields, Mapping):
        return f"config.{key} must be an object with the fields of the action"
    action_type, known_fields = KINDS[key]
    inner = {name: value for name, value in fields.items() if value is not None}
    path = f"config.{key}"
    if unknown := inner.keys() - known_fields.keys():
        return f"{path}.{min(unknown)}: {key} has no such field, only {', '.join(known_fields)}"
    for name, field in known_fields.items():
        if name not in inner:
            if field.required:
                return f"{path}.{name}: {key} needs it"
            continue
        if (wrong := field.check(inner[name])) is not None:
            return f"{path}.{name} {wrong}"
    if (odd := next(faults(inner, path), None)) is not None:
        return odd
    return NewAction(action_type=action_type, config=inner)


def fault_of_name(name: str | None) -> str | None:
    """Why an action or a hook cannot be called so, as a sentence, or None."""
    if name is None:
        return None
    if not name.strip() or len(name) > NAME_LIMIT:
        return f"name must have 1 to {NAME_LIMIT} characters, and has {len(name)}"
    return next(faults(name, "name"), None)


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return "must be a text that is not empty"
    return None


def _template(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a text"
    return _size(value)


def _size(value: Any) -> str | None:
    try:
        size = len(orjson.dumps(value))
    except TypeError:
        # Not what it is about: `faults` says what cannot be stored.
        return None
    if size > TEMPLATE_LIMIT:
        return f"has {size:,} bytes, and a template has at most {TEMPLATE_LIMIT:,}: shorten it"
    return None


def _url(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > _URL_LIMIT:
        return f"must be an address of at most {_URL_LIMIT:,} characters"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", value):
        return "must be an address such as https://hooks.example.com/path"
    if "{" in parts.netloc:
        return "must name its host itself: only the part after the host may hold variables"
    return None


def _headers(value: Any) -> str | None:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        return 'must be an object of texts, such as {"X-Token": "abc"}'
    for name, text in value.items():
        if not _HEADER.fullmatch(name):
            return f"has a header {name[:50]!r}, which is no name of one"
        if "\r" in text or "\n" in text:
            return f"has a line break in the header {name}; put it on one line"
    return _size(value)


def _addresses(value: Any) -> str | None:
    if not isinstance(value, list) or not 1 <= len(value) <= _ADDRESSES:
        return f"must be a list of 1 to {_ADDRESSES} addresses"
    wrong = next((a for a in value if not isinstance(a, str) or not _ADDRESS.fullmatch(a)), None)
    return None if wrong is None else f"has {str(wrong)[:100]!r}, which is not an e-mail address"


def _phones(value: Any) -> str | None:
    if not isinstance(value, list) or not 1 <= len(value) <= _ADDRESSES:
        return f"must be a list of 1 to {_ADDRESSES} phone numbers"
    wrong = next((n for n in value if not isinstance(n, str) or not _PHONE.fullmatch(n)), None)
    return None if wrong is None else f"has {str(wrong)[:50]!r}, which is not a phone number"


def _severity(value: Any) -> str | None:
    if value not in _SEVERITIES:
        return f"must be one of {', '.join(_SEVERITIES)}, not {str(value)[:50]!r}"
    return None


def _uuid(value: Any) -> str | None:
    try:
        UUID(str(value))
    except ValueError:
        return "must be the id of a flow group"
    return None


def _object(value: Any) -> str | None:
    return _size(value) if isinstance(value, dict) else "must be an object"


def _labels(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        return "must be a list of labels"
    return _size(value)


_NEEDED = Field(check=_text, required=True)
_MESSAGE = Field(check=_template)
_FLOW_GROUP = Field(check=_uuid)

KINDS: Mapping[str, tuple[ActionType, Mapping[str, Field]]] = MappingProxyType(
    {
        "webhook": (
            ActionType.WEBHOOK,
            {
                "url": Field(check=_url, required=True),
                "payload": Field(check=_size),
                "headers": Field(check=_headers),
                "signing_secret": Field(check=_text),
            },
        ),
        "slack_notification": (
            ActionType.SLACK,
            {"webhook_url_secret": _NEEDED, "message": _MESSAGE},
        ),
        "teams_webhook_notification": (
            ActionType.TEAMS,
            {"webhook_url_secret": _NEEDED, "message": _MESSAGE, "title": _MESSAGE},
        ),
        "email_notification": (
            ActionType.EMAIL,
            {
                "to_emails": Field(check=_addresses, required=True),
                "subject": _MESSAGE,
                "body": _MESSAGE,
            },
        ),
        "twilio_notification": (
            ActionType.TWILIO,
            {
                "account_sid": _NEEDED,
                "auth_token_secret": _NEEDED,
                "messaging_service_sid": _NEEDED,
                "phone_numbers": Field(check=_phones, required=True),
                "message": _MESSAGE,
            },
        ),
        "pagerduty_notification": (
            ActionType.PAGERDUTY,
            {
                "routing_key": _NEEDED,
                "severity": Field(check=_severity, required=True),
                "api_token_secret": Field(check=_text),
                "message": _MESSAGE,
            },
        ),
        # Beyond Cloud: a message in the tenant's inbox, and what Apprise knows.
        "inbox_notification": (ActionType.INBOX, {"title": _MESSAGE, "message": _MESSAGE}),
        "apprise_notification": (
            ActionType.APPRISE,
            {"url_secret": _NEEDED, "title": _MESSAGE, "message": _MESSAGE},
        ),
        "cancel_flow_run": (ActionType.CANCEL_FLOW_RUN, {"message": _MESSAGE}),
        "pause_schedule": (ActionType.PAUSE_SCHEDULE, {"flow_group_id": _FLOW_GROUP}),
        "create_flow_run": (
            ActionType.CREATE_FLOW_RUN,
            {
                "flow_group_id": _FLOW_GROUP,
                "parameters": Field(check=_object),
                "labels": Field(check=_labels),
            },
        ),
    }
)
"""The actions by their key in the config, with the fields below it."""
