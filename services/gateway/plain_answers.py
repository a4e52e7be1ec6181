"""JSON answers of the routes that are not GraphQL."""

from collections.abc import Iterable

import orjson
from starlette.types import Send

_RETRY_SOON = (b"retry-after", b"2")
_PASSES = frozenset({429, 503})
"""Refusals after which a retry may succeed."""


class RefusalError(Exception):
    """A refusal, with its HTTP status and code."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


async def refuse(send: Send, refused: RefusalError) -> None:
    """Answer with the refusal, in GraphQL's form."""
    error = {"message": str(refused), "extensions": {"code": refused.code}}
    await send_json(send, refused.status, {"errors": [error]})


async def send_json(
    send: Send, status: int, body: object, *, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer this caller with JSON that must not be cached."""
    text = orjson.dumps(body)
    sent = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(text)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    if status in _PASSES:
        sent.append(_RETRY_SOON)
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": text})
