"""Why a text is not JSON, said so that its writer finds the value. Pure.

Python's own writer puts NaN and the infinities where a float is one, and JSON has no word for them: it is the usual
reason, and "unexpected character" at the 137th helps nobody to find the parameter.
"""

import json
from dataclasses import dataclass
from typing import Any

_LOOKED_THROUGH = 1_000_000
"""Characters; a longer text is refused without a second look."""


@dataclass(frozen=True, slots=True)
class _Constant:
    """A word that Python writes for a float, and JSON does not have."""

    word: str


def reason_of(text: bytes | bytearray | str, error: ValueError) -> str:
    """The place and name of the first value that JSON does not have, else what the reader said."""
    if len(text) > _LOOKED_THROUGH:
        return str(error)
    try:
        found = _first(json.loads(text, parse_constant=_Constant))
    except (ValueError, RecursionError):
        return str(error)
    if found is None:
        return str(error)
    path, word = found
    return f"{path or 'it'} is {word}, which is not a JSON value; give a number, a string or null"


def _first(value: Any) -> tuple[str, str] | None:
    """The path and word of the first constant, in the order of the text."""
    left = [("", value)]
    while left:
        path, inner = left.pop()
        if isinstance(inner, _Constant):
            return path, inner.word
        if isinstance(inner, dict):
            left += [
                (f"{path}.{key}" if path else str(key), item)
                for key, item in reversed(inner.items())
            ]
        elif isinstance(inner, list):
            left += [(f"{path}[{n}]", item) for n, item in reversed([*enumerate(inner)])]
    return None
