"""What may be a cloud hook, in the words of Prefect Server, and which parts of it nobody reads back. Pure."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from libs.contracts.states import State
from libs.runtime import exact_json

CONFIG_LIMIT = 8_192  # bytes of JSON
NAME_LIMIT = 255  # characters
HOOK_LIMIT = 500  # cloud hooks of a tenant
SEVERITIES = ("info", "warning", "error", "critical")
MASK = "********"

_STATES = {state.upper(): state for state in State}
_ADDRESS = re.compile(r"[^@\s,]+@[^@\s,]+")

MASKED_CONFIG = r"""CASE jsonb_typeof({t}."config") WHEN 'object' THEN COALESCE((
    SELECT jsonb_object_agg(c.key, CASE
        WHEN jsonb_typeof(c.value) <> 'string' THEN c.value
        WHEN c.key IN ('auth_token', 'api_token', 'routing_key') THEN to_jsonb(
            '********' || CASE WHEN length(c.value #>> '{}') >= 12 THEN right(c.value #>> '{}', 4) ELSE '' END
        )
        WHEN c.key = 'url' THEN to_jsonb(regexp_replace(
            regexp_replace(c.value #>> '{}', '//[^/@]*@', '//********@'),
            '(?<=[^/:]/|=)[^/?&=#]{8,}([^/?&=#]{4})', '********\1', 'g'
        ))
        ELSE c.value
    END)
    FROM jsonb_each({t}."config") c
), '{}'::jsonb) ELSE {t}."config" END"""
"""The configuration as people read it, of the row `{t}`: of tokens the last four characters, and of an address no user,
and of its long segments and arguments the last four characters. Receivers take such addresses for passwords.

In SQL, so that no condition of a query can find out what the answer hides."""


class CloudHookType(StrEnum):
    """What a cloud hook calls."""

    EMAIL = "EMAIL"
    PAGERDUTY = "PAGERDUTY"
    PREFECT_MESSAGE = "PREFECT_MESSAGE"
    SLACK_WEBHOOK = "SLACK_WEBHOOK"
    TWILIO = "TWILIO"
    WEBHOOK = "WEBHOOK"


_KEYS: dict[CloudHookType, tuple[frozenset[str], str]] = {
    CloudHookType.EMAIL: (frozenset({"to"}), "`to`"),
    CloudHookType.PAGERDUTY: (
        frozenset({"api_token", "routing_key", "severity"}),
        "`api_token`, `routing_key`, & `severity`",
    ),
    CloudHookType.SLACK_WEBHOOK: (frozenset({"url"}), "`url`"),
    CloudHookType.TWILIO: (
        frozenset({"account_sid", "auth_token", "messaging_service_sid", "to"}),
        "`account_sid`, `auth_token`, `messaging_service_sid`, and `to`",
    ),
    CloudHookType.WEBHOOK: (frozenset({"url"}), "`url`"),
}


def states_of(given: Sequence[str]) -> list[str] | str:
    """The states in capitals, each once; or a sentence about what is wrong. Neither parents nor children count."""
    states = list(dict.fromkeys(name.upper() for name in given))
    unknown = [name for name in states if name not in _STATES]
    if unknown:
        return f"Invalid states: {unknown[0][:50]!r} is not a state; states are {', '.join(sorted(_STATES))}"
    return states or "Invalid states: name at least one"


def without_nulls(given: object) -> dict[str, Any] | str:
    """The configuration without what is null, which the web UI sends for fields of other types."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        return "config must be a JSON object"
    return {name: value for name, value in given.items() if value is not None}


def fault_of(kind: CloudHookType, config: Mapping[str, Any]) -> str | None:
    """What is wrong with a configuration, as a sentence that begins as Server's, or None."""
    size = len(exact_json.dumps(config))
    if size > CONFIG_LIMIT:
        return f"config is {size:,} bytes of JSON; at most {CONFIG_LIMIT:,} are stored"
    if kind not in _KEYS:
        return None
    keys, expected = _KEYS[kind]
    if config.keys() != keys or (kind is CloudHookType.TWILIO and not config["to"]):
        return f"Invalid config; expected {expected}"
    for name, value in config.items():
        if name == "to" and kind is CloudHookType.TWILIO:
            numbers = [value] if isinstance(value, str) else value
            if not isinstance(numbers, list) or not all(isinstance(n, str) for n in numbers):
                return "Invalid config; to must be a list of telephone numbers"
        elif not isinstance(value, str) or not value.strip():
            return f"Invalid config; {name} must be a text"
    if kind is CloudHookType.PAGERDUTY and config["severity"] not in SEVERITIES:
        return f"Invalid config; severity must be one of {{{', '.join(SEVERITIES)}}}"
    if kind is CloudHookType.EMAIL and not _are_addresses(config["to"]):
        return "Invalid config; to must be addresses with commas between them, such as a@x.org, b@x.org"
    if "url" in keys and not _is_address(config["url"]):
        return "Invalid config; url must begin with http:// or https:// and name a host"
    return None


def is_masked(config: Mapping[str, Any]) -> bool:
    """Whether some value of it was read from us and is sent back."""
    return any(isinstance(value, str) and MASK in value for value in config.values())


def kept(
    config: Mapping[str, Any], whole: Mapping[str, Any], shown: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration, where what is sent back as this hook shows it stays what it is."""
    return {
        name: whole[name] if name in whole and value == shown.get(name) else value
        for name, value in config.items()
    }


def unmasked(
    config: Mapping[str, Any], known: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> dict[str, Any] | str:
    """The configuration with what masked values stand for; or a sentence about what cannot be known.

    `known` are the tenant's configurations of this type and how they are shown. The web UI edits a hook by deleting it
    and making another one, with what it had read.
    """
    found: dict[str, Any] = dict(config)
    for name, value in config.items():
        if not isinstance(value, str) or MASK not in value:
            continue
        meant = {whole[name] for whole, shown in known if shown.get(name) == value}
        if not meant:
            return f"config.{name} is hidden ({value[:100]}) and no hook of this type has it: enter the whole value"
        if len(meant) > 1:
            return f"config.{name} is hidden and stands for different values of several hooks: enter the whole value"
        found[name] = meant.pop()
    return found


def _are_addresses(text: str) -> bool:
    return all(_ADDRESS.fullmatch(each.strip()) for each in text.split(","))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()
    except ValueError:
        return False
