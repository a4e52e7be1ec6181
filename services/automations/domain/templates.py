"""Templates: `{name}` is replaced by the event's value, once, from a fixed map. Nothing is ever evaluated.

A template is one pass of one regular expression. `str.format` would read attributes of our objects, and a template
language would run loops of strangers. What is put in is never looked at again, so a value `{id}` stays as it is.

Sizes are bounded before the text is built: each variable gets its share of `RENDERED_BYTES`, so a state
message of a megabyte costs what a short one costs.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

TEMPLATE_BYTES = 8 * 1024
"""The longest template; longer ones are refused when the action is made."""
RENDERED_BYTES = 64 * 1024
"""The longest result, as JSON."""
_DEPTH = 32
_CUT = "..."

_VARIABLE = re.compile(r"\{([A-Za-z_]{1,64})\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SEPARATORS = re.compile(r"[\r\n\x00\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_HEADER_CHARACTERS = 4096

Values = Mapping[str, Any]
Escape = Callable[[str], str]


def unchanged(text: str) -> str:
    """The text without escapes."""
    return text


def unknown_names(template: Any, known: frozenset[str]) -> list[str]:
    """The names in a template (a text, or JSON with texts) that no event has, in their order, each once."""
    found = (name for text in _texts_of(template) for name in _VARIABLE.findall(text))
    return list(dict.fromkeys(name for name in found if name not in known))


def rendered(
    template: str, values: Values, *, escape: Escape = unchanged, limit: int = RENDERED_BYTES
) -> str:
    """The text with its values, at most `limit` bytes of JSON. Unknown names stay as they are written."""
    return _Filling(values, escape, _variables_in(template), limit - _size(template)).fill(template)


def rendered_json(template: Any, values: Values) -> Any:
    """A copy of JSON in which each text, and each key, is a template. Other values stay as they are.

    It is rendered leaf by leaf and dumped afterwards, so no value can end a text or begin another key.
    """
    variables = sum(_variables_in(text) for text in _texts_of(template))
    spare = RENDERED_BYTES - len(_dumped(template))
    return _walked(template, _Filling(values, unchanged, variables, spare).fill)


def shortened_json(document: Any, *, limit: int = RENDERED_BYTES) -> Any:
    """A copy of JSON whose long texts are cut, so that all of it is at most `limit` bytes."""
    size = len(_dumped(document))
    if size <= limit:
        return document
    texts = sorted(_size(text) for text in _texts_of(document))
    # The longest share that fits: short texts keep their length, long ones divide what is left.
    spare = limit - (size - sum(texts))
    for index, length in enumerate(texts):
        share = max(spare, 0) // (len(texts) - index)
        if length > share:
            return _walked(document, partial(cut, limit=share))
        spare -= length
    return document


def header_name(text: str) -> str | None:
    """The name of a header; None when it is none."""
    return text if _HEADER_NAME.fullmatch(text) else None


def header_value(text: str) -> str:
    """One line: control characters, and with them every way to begin another header, become a space."""
    return _CONTROL.sub(" ", text[:_HEADER_CHARACTERS]).strip()


def one_line(text: str, *, limit: int) -> str:
    """A title or a subject: no line breaks, at most `limit` characters."""
    line = _SEPARATORS.sub(" ", text).strip()
    return line if len(line) <= limit else line[: limit - len(_CUT)] + _CUT


def clipped(text: str, limit: int) -> str:
    """At most `limit` characters; a cut shows."""
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def for_slack(text: str) -> str:
    """Slack's own escapes: without them `<!channel>` in a state message would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def for_cards(text: str) -> str:
    """For Adaptive Cards: no value becomes a link with a text of its own."""
    return text.replace("](", "] (")


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes when written as JSON; a cut shows where there is room for it."""
    if _size(text[: limit + 1]) <= limit and len(text) <= limit:
        return text
    room = limit - len(_CUT)
    if room <= 0:
        return ""
    kept = text[:room]
    while (size := _size(kept)) > room:
        kept = kept[: min(len(kept) - 1, len(kept) * room // size)]
    return kept + _CUT


class _Filling:
    """Values for the variables of one template, each at most its share of the room that is left."""

    def __init__(self, values: Values, escape: Escape, variables: int, spare: int) -> None:
        self._values = values
        self._escape = escape
        self._share = max(spare, 0) // max(variables, 1)
        self._ready: dict[str, str] = {}

    def fill(self, template: str) -> str:
        return _VARIABLE.sub(self._value, template)

    def _value(self, variable: re.Match[str]) -> str:
        name = variable[1]
        if name not in self._values:
            return variable[0]
        if name not in self._ready:
            # Cut before it is escaped, which may not take long, and after, when it may have grown.
            short = cut(text_of(self._values[name]), self._share)
            self._ready[name] = cut(self._escape(short), self._share)
        return self._ready[name]


def text_of(value: Any) -> str:
    """A value as people read it: nothing for null, lists with commas, other things as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return _dumped(value).decode()


def _walked(document: Any, change: Callable[[str], str], depth: int = 0) -> Any:
    if isinstance(document, str):
        return change(document)
    if depth >= _DEPTH:
        return document
    if isinstance(document, Mapping):
        return {change(key): _walked(item, change, depth + 1) for key, item in document.items()}
    if isinstance(document, list | tuple):
        return [_walked(item, change, depth + 1) for item in document]
    return document


def _texts_of(document: Any, depth: int = 0) -> list[str]:
    if isinstance(document, str):
        return [document]
    if depth >= _DEPTH:
        return []
    if isinstance(document, Mapping):
        keys = [key for key in document if isinstance(key, str)]
        return keys + [t for item in document.values() for t in _texts_of(item, depth + 1)]
    if isinstance(document, list | tuple):
        return [text for item in document for text in _texts_of(item, depth + 1)]
    return []


def _variables_in(template: str) -> int:
    return sum(1 for _ in _VARIABLE.finditer(template))


def _size(text: str) -> int:
    """Bytes of the text within JSON, without its quotes."""
    return len(_dumped(text)) - 2


def _dumped(document: Any) -> bytes:
    return orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS)
