"""No opened secret in what is kept: receivers echo what they got, and libraries name the address that they called."""

from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, urlsplit

import orjson

_SHORTEST = 4
"""Shorter texts are no secrets, and replacing them would make an answer unreadable."""
_SHORTEST_PART = 12
_MARK = "[secret]"


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, in the spellings in which they travel."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    # Long ones first: a part of a secret must not leave the rest of it.
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, _MARK)
    return text


def _spellings(secret: str) -> Iterable[str]:
    if len(secret) < _SHORTEST:
        return
    yield secret
    yield orjson.dumps(secret).decode()[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield b64encode(secret.encode()).decode()
    yield from (part for part in secret.split() if len(part) >= _SHORTEST_PART)
    if secret.startswith(("http://", "https://")):
        yield from _parts_of_url(secret)


def _parts_of_url(url: str) -> Iterable[str]:
    """The path and the query hold the credential; servers name them alone in their errors."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    for text in (parts.path, parts.query, f"{parts.path}?{parts.query}"):
        if len(text) >= _SHORTEST_PART:
            yield text
    for piece in parts.path.split("/"):
        if len(piece) >= _SHORTEST_PART:
            yield piece
