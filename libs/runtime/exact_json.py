"""JSON as orjson reads and writes it, but with exact integers: no number is rounded.

orjson makes floats of integers beyond 64 bits, and refuses to write them. Those few values go through the standard
library, which is exact and slower. An integer that would be infinite as a float (of 309 digits) is refused when it is
read, so gateway and registry let none in.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import orjson

_ONE_DIGIT = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(256))
# Everything shorter fits into 64 bits. A match inside a string costs the time of the slower reader, nothing else.
_LARGE = b"0" * 19
_ALWAYS_FINITE = 308  # digits; of those with more, some are infinite as floats
_CONTAINERS = frozenset((dict, list))

MOST_LEVELS = 128
"""Arrays and objects within one another that are taken. Parsers of messages stop at 200; their envelopes take a few."""


_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def holds_nul(text: str) -> bool:
    """Whether a string in this JSON has the character U+0000, which PostgreSQL cannot hold.

    Not after a backslash: then the six characters are ordinary text, not an escape.
    """
    return "\\u0000" in text and _ESCAPED_NUL.search(text) is not None


def loads(text: bytes | bytearray | str) -> Any:
    """The value; ValueError when the text is not JSON, or is nested too deeply to be read."""
    found = orjson.loads(text)
    data = text.encode() if isinstance(text, str) else text
    # A regular expression would take five times as long as reading does; this takes a tenth of that.
    if _LARGE not in data.translate(_ONE_DIGIT):
        return found
    try:
        return json.loads(text)
    except RecursionError:
        msg = "it is nested too deeply"
        raise ValueError(msg) from None


def loads_leniently(text: bytes | bytearray | str) -> Any:
    """As `loads`, but accepts also what Python writes beyond JSON; ValueError for anything else.

    Half of a surrogate pair stays one in the string, bytes that are not UTF-8 become such halves, `NaN` and the
    infinities become floats, and a number that is larger than any becomes an infinity. `reported` cleans them.
    """
    characters = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
    try:
        return json.loads(characters, parse_int=_any_integer)
    except RecursionError:
        msg = "it is nested too deeply"
        raise ValueError(msg) from None


def _any_integer(digits: str) -> int | float:
    try:
        return whole(digits)
    except ValueError:
        return float(digits)


def dumps(value: Any, *, default: Callable[[Any], Any] | None = None) -> bytes:
    """Compact JSON; keys that are not strings become strings.

    TypeError or ValueError for values that neither JSON nor `default` can express.
    """
    try:
        return orjson.dumps(value, default=default, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:

        def as_orjson_does(value: Any) -> Any:
            """Timestamps and ids, which the standard library does not write."""
            return orjson.loads(orjson.dumps(value, default=default))

        return json.dumps(
            value,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
            default=as_orjson_does,
        ).encode()


def whole(digits: str) -> int:
    """The integer, for `parse_int` of the standard library's reader; ValueError for one that `loads` refuses."""
    if len(digits) > _ALWAYS_FINITE and math.isinf(float(digits)):
        msg = f"{digits[:20]}... is larger than any number"
        raise ValueError(msg)
    return int(digits)


def is_deeper_than(levels: int, value: Any) -> bool:
    """Whether the arrays and objects of a JSON value are nested in one another more than `levels` times."""
    layer = [value] if type(value) in _CONTAINERS else []
    for _ in range(levels):
        if not layer:
            return False
        # One loop over exact types: requests with many log lines or states pass here, and the loop takes a third of the
        # time.
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
    return bool(layer)
