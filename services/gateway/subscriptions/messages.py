"""What a client may send on a socket, and what of `connection_init` says who it is. Pure."""

from collections.abc import Mapping
from typing import Any

from libs.runtime import exact_json

_MOST_ID = 128  # characters; clients count or draw a UUID
_MOST_REASON = 123  # bytes, by RFC 6455
_CREDENTIALS = ("authorization", "x-prefect-tenant-id")
_TYPES = frozenset({"connection_init", "ping", "pong", "subscribe", "complete"})


class BadMessageError(ValueError):
    """The text is no message of `graphql-transport-ws`; the sentence says what is wrong."""


def read(text: str) -> dict[str, Any]:
    """The message with its fields of the right types; BadMessageError says which is not."""
    try:
        message = exact_json.loads(text)
    except ValueError:
        msg = "A message must be JSON."
        raise BadMessageError(msg) from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(kind, str) or kind not in _TYPES:
        msg = f"type: a message is an object of type {', '.join(sorted(_TYPES))}."
        raise BadMessageError(msg)
    if kind in ("subscribe", "complete"):
        id_ = message.get("id")
        if not isinstance(id_, str) or not 0 < len(id_) <= _MOST_ID:
            msg = f"id: an operation has a text of 1 to {_MOST_ID} characters."
            raise BadMessageError(msg)
    if kind == "subscribe":
        _check_payload(message.get("payload"))
    return message


def _check_payload(payload: Any) -> None:
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        msg = "payload.query: a subscription is a text."
        raise BadMessageError(msg)
    if not isinstance(payload.get("variables"), dict | None):
        msg = "payload.variables: send an object, or leave it out."
        raise BadMessageError(msg)
    if not isinstance(payload.get("operationName"), str | None):
        msg = "payload.operationName: send a text, or leave it out."
        raise BadMessageError(msg)


def credentials(headers: Mapping[str, str], payload: Mapping[str, Any] | None) -> dict[str, str]:
    """Who asks, as headers: of the upgrade, unless `connection_init` names a key. Names are taken in any case.

    Tools put them into the payload itself, or into an object `headers` in it.
    """
    shown = _texts(payload or {})
    nested = (payload or {}).get("headers")
    if isinstance(nested, Mapping):
        shown = {**_texts(nested), **shown}
    if "authorization" in shown:
        return shown
    return {name: headers[name] for name in _CREDENTIALS if name in headers} | shown


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in given.items()
        if name.lower() in _CREDENTIALS and isinstance(value, str)
    }


def reason(text: str) -> str:
    """The sentence as far as a close frame holds it."""
    cut = text.encode()[:_MOST_REASON]
    return cut.decode(errors="ignore")
