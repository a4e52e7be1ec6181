"""JSON as it arrives: decompressed within bounds, and only what PostgreSQL can keep.

The standard library's parser is used on purpose: it keeps integers of any size exact, where faster ones turn them into
floats, and a flow's parameters must come back unchanged.
"""

import binascii
import json
import zlib
from base64 import b64decode
from typing import Any, NoReturn

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.exact_json import MOST_LEVELS, holds_nul, is_deeper_than, whole

_GZIP = 31  # window bits: 15, plus 16 for a gzip header


class UnreadableError(Exception):
    """The bytes are not base64 of gzip of JSON, or too much or too deep."""


class UnstorableError(Exception):
    """The value is JSON that PostgreSQL cannot keep. The text names the field."""


def malformed(reason: str) -> Refused:
    """The answer to a serialized flow that breaks a rule; `reason` starts with the field."""
    return Refused(code=Code.FLOW_MALFORMED, fields={"reason": reason})


def invalid(reason: str) -> Refused:
    """The answer to an argument that breaks a rule; `reason` starts with the argument."""
    return Refused(code=Code.INVALID, fields={"reason": reason})


def decompress(compressed: str, *, limit: int) -> Any:
    """The JSON in base64(gzip(json)). Never inflates more than `limit` bytes, whatever the input claims."""
    try:
        packed = b64decode("".join(compressed.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        msg = "it is not base64"
        raise UnreadableError(msg) from error
    inflater = zlib.decompressobj(_GZIP)
    try:
        text = inflater.decompress(packed, limit + 1)
    except zlib.error as error:
        msg = "it is not gzip"
        raise UnreadableError(msg) from error
    if len(text) > limit:
        msg = f"it holds more than {limit >> 20} MiB of JSON"
        raise UnreadableError(msg)
    if not inflater.eof:
        msg = "its gzip ends too early"
        raise UnreadableError(msg)
    too_deep = f"its content is nested deeper than {MOST_LEVELS} levels"
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=whole)
    except ValueError as error:
        msg = f"its content is not JSON: {error}"
        raise UnreadableError(msg) from error
    except RecursionError as error:
        raise UnreadableError(too_deep) from error
    # The messages about its scheduled runs could not be parsed.
    if is_deeper_than(MOST_LEVELS, value):
        raise UnreadableError(too_deep)
    return value


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON value"
    raise ValueError(msg)


def encode(value: Any, *, path: str) -> str:
    """The value's JSON text, which PostgreSQL always accepts as jsonb."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except RecursionError:
        msg = f"{path}: it is nested too deeply"
        raise UnstorableError(msg) from None
    except UnicodeEncodeError:
        msg = f"{path}: it holds half of a surrogate pair, which is not text"
        raise UnstorableError(msg) from None
    except ValueError:
        msg = f"{path}: it holds a number that is not one (NaN or infinity)"
        raise UnstorableError(msg) from None
    if holds_nul(text):
        msg = f"{_path_of_nul(value, path)}: a NUL character cannot be stored"
        raise UnstorableError(msg)
    return text


def _path_of_nul(value: Any, path: str) -> str:
    if isinstance(value, dict):
        for key, item in value.items():
            if "\0" in key:
                return f"{path} (a key)"
            if _holds_nul(item):
                return _path_of_nul(item, f"{path}.{key}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            if _holds_nul(item):
                return _path_of_nul(item, f"{path}.{index}")
    return path


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_holds_nul(item) for item in value)


def complaint_about_text(value: str | None, path: str, *, at_most: int | None = None) -> str | None:
    """Why PostgreSQL could not store this text, or None."""
    if value is None:
        return None
    if "\0" in value:
        return f"{path}: a NUL character cannot be stored"
    if at_most is not None and len(value) > at_most:
        return f"{path}: at most {at_most} characters, not {len(value)}"
    return None
