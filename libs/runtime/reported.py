"""What a client's process reports (log lines, states, artifacts, names): cleaned instead of refused.

A running process cannot correct what it printed, and its refusal would not be read. So:

* U+0000 and lone surrogates, which neither PostgreSQL nor UTF-8 can hold, become U+FFFD;
* NaN and the infinities, which JSON does not have, become the strings "NaN", "Infinity" and "-Infinity", as in
  protobuf's JSON mapping: Python's `float()` reads them back;
* what is nested too deeply becomes a sentence that says so;
* text that is too long loses its middle and says how much was cut: the last line of a traceback is the most important.

Values that a person configures are refused instead of cleaned: `faults` names their path.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from libs.runtime import exact_json
from libs.runtime.exact_json import MOST_LEVELS

REPLACEMENT = "\ufffd"
TOO_DEEP = f"[nested deeper than {MOST_LEVELS} levels: cut]"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NOTICE = "\n[... {cut:,} of {size:,} characters were cut here ...]\n"


def clean_text(text: str) -> str:
    """The text with U+FFFD for each character that cannot be stored; the same object when there is none."""
    # Most text is ASCII, where only U+0000 cannot be stored; both checks are fast.
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(REPLACEMENT, text)


def cut_text(text: str, limit: int) -> str:
    """The text in at most `limit` characters: without its middle, with a notice in its place, where it is longer.

    A limit that has no room for the notice is a plain cut.
    """
    if len(text) <= limit:
        return text
    room = limit - len(_NOTICE.format(cut=len(text), size=len(text)))
    if room <= 0:
        return text[:limit]
    tail = room // 2
    notice = _NOTICE.format(cut=len(text) - room, size=len(text))
    return text[: room - tail] + notice + text[len(text) - tail :]


def cut_name(name: str, limit: int) -> str:
    """The name in at most `limit` bytes of UTF-8, with an ellipsis where it was cut."""
    encoded = name.encode()
    if len(encoded) <= limit:
        return name
    return encoded[: limit - 3].decode(errors="ignore") + "…"


def clean(value: Any, *, levels: int = MOST_LEVELS) -> Any:
    """A JSON value as it can be stored, keys included. If keys become equal, the last value stays."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _word(value)
    if not isinstance(value, dict | list):
        return value
    if not levels:
        return TOO_DEEP
    if isinstance(value, list):
        return [clean(inner, levels=levels - 1) for inner in value]
    return {clean_text(key): clean(inner, levels=levels - 1) for key, inner in value.items()}


def fit(value: Any, *, limit: int, keep: frozenset[str] = frozenset()) -> tuple[Any, bytes] | None:
    """The value and its JSON in at most `limit` bytes, its longest texts cut; None where that is not enough.

    Values below a key of `keep` stay as they are: half of a result would be a wrong one.
    """
    body = exact_json.dumps(value)
    if len(body) <= limit:
        return value, body
    # The shortest first: one walk is enough to see that a value is large without long texts.
    found = None
    for longest in (1_000, 10_000, 100_000, limit // 3, limit - limit // 10):
        shorter = _with_short_texts(value, longest, keep)
        body = exact_json.dumps(shorter)
        if len(body) > limit:
            break
        found = shorter, body
    return found


def needs_cleaning(text: bytes) -> bool:
    """Whether JSON as orjson or the standard library wrote it may hold what `clean` replaces."""
    return b"\\u0000" in text or b"\\ud" in text


def _with_short_texts(value: Any, longest: int, keep: frozenset[str]) -> Any:
    if isinstance(value, str):
        return cut_text(value, longest)
    if isinstance(value, list):
        return [_with_short_texts(inner, longest, keep) for inner in value]
    if isinstance(value, dict):
        return {
            cut_text(key, longest): inner
            if key in keep
            else _with_short_texts(inner, longest, keep)
            for key, inner in value.items()
        }
    return value


def _word(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def faults(value: Any, path: str) -> Iterator[str]:
    """A sentence for each part of a JSON value that cannot be stored, with its path below `path`."""
    yield from _faults(value, path, levels=MOST_LEVELS)


def _faults(value: Any, path: str, *, levels: int) -> Iterator[str]:
    if isinstance(value, str):
        if (reason := fault_of_text(value)) is not None:
            yield f"{path} {reason}"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{path} is {_word(value)}, which is not a JSON value; give a number, a string or null"
    elif isinstance(value, dict | list):
        if not levels:
            yield f"{path} is nested deeper than {MOST_LEVELS} levels"
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                yield from _faults(inner, f"{path}[{index}]", levels=levels - 1)
        else:
            for key, inner in value.items():
                below = f"{path}.{clean_text(key)}"
                if (reason := fault_of_text(key)) is not None:
                    yield f"the key {below} {reason}"
                yield from _faults(inner, below, levels=levels - 1)


def fault_of_text(text: str) -> str | None:
    """Why a text cannot be stored, to follow the name of its field; None when it can."""
    if text.isascii() and "\x00" not in text:
        return None
    found = _UNSTORABLE.search(text)
    if found is None:
        return None
    if found[0] == "\x00":
        return "cannot hold the character U+0000"
    return "holds half of a surrogate pair, which is not text"
