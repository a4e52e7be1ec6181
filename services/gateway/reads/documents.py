"""Documents without their literals: what makes a compiled document reusable.

Prefect's clients write ids and timestamps into the document itself, so no two texts are equal. `lift` removes string
and number literals in one scan, without parsing. The rest, the skeleton, is the same for all of them, and is the key of
the cache of compiled documents.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FloatValueNode,
    IntValueNode,
    StringValueNode,
    Visitor,
    parse_value,
    visit,
)

from services.gateway.caches import BoundedCache

# One group, so that `split` returns the text between the literals and the literals, in turns. The pattern begins with
# the first characters of literals, so the search for them is a search for bytes; the lookbehinds then show which one it
# was. Comments and block strings are matched so that quotes inside them are not taken for strings. A string without an
# end is matched to the end of its line: otherwise the search would start again at each quote in it, in quadratic time.
_LITERAL = re.compile(
    r'(["#\-0-9](?:'
    r'(?<=")(?:""(?:\\"""|[^"]|"(?!""))*"""|[^"\\\n\r]*(?:\\.[^"\\\n\r]*)*"?)'
    r"|(?<=#)[^\n\r]*"
    r"|(?<![\w$].)(?:(?<=-)[0-9]+|(?<=[0-9])[0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])"
    r"))"
)
_INT_MAX = 2**31 - 1
_INT_MIN = -(2**31)


@dataclass(frozen=True, slots=True)
class Lifted:
    """A document, its skeleton, and the literals that were lifted out of it, in order."""

    text: str
    skeleton: str
    literals: tuple[Any, ...]


_plain: BoundedCache[str, Lifted] = BoundedCache(count=256, size=2_500_000)
"""Cached documents without literals, which clients with variables repeat: found by their text without a scan."""


def lift(text: str) -> Lifted:
    """Split a document into its skeleton and its literals."""
    known = _plain.get(text)
    if known is not None:
        return known
    pieces = _LITERAL.split(text)
    literals: list[Any] = []
    for index in range(1, len(pieces), 2):
        mark, value = _decode(pieces[index])
        if mark is not None:
            pieces[index] = mark
            literals.append(value)
    lifted = Lifted(text, "".join(pieces), tuple(literals))
    if not literals:
        _plain.put(text, lifted, size=len(text))
    return lifted


def _decode(token: str) -> tuple[str | None, Any]:
    """The placeholder for the literal (control characters, which no document contains) and its value.

    No placeholder for text that stays: comments, block strings, and literals that the parser or validation must refuse.
    """
    if token[0] == '"':
        if token.startswith('"""') or len(token) == 1 or token[-1] != '"':
            return None, None
        if "\\" not in token:
            return "\x01", token[1:-1]
        try:
            return "\x01", orjson.loads(token)
        except orjson.JSONDecodeError:
            return _decode_rare(token)
    if token[0] == "#":
        return None, None
    if not token.lstrip("-").isdigit():
        return "\x03", float(token)
    # Numbers out of range stay in the document, so that validation refuses them, also for a known skeleton.
    return ("\x02", int(token)) if _is_int(token) else (None, None)


def _is_int(digits: str) -> bool:
    """Whether it fits GraphQL's Int. Python itself refuses to parse thousands of digits."""
    return len(digits) <= len(str(_INT_MIN)) and _INT_MIN <= int(digits) <= _INT_MAX


def _decode_rare(token: str) -> tuple[str | None, Any]:
    """GraphQL allows a few things that JSON does not (a tab as such, \\u{1F600})."""
    try:
        node = parse_value(token)
    except Exception:
        return None, None
    return "\x01", node.value if isinstance(node, StringValueNode) else None


class _Literals(Visitor):
    """Collects the literals of a parsed document as `lift` should have found them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Any] = {}

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if not node.block and node.loc is not None:
            self.found[node.loc.start] = node.value

    def enter_int_value(self, node: IntValueNode, *_: Any) -> None:
        if node.loc is not None and _is_int(node.value):
            self.found[node.loc.start] = int(node.value)

    def enter_float_value(self, node: FloatValueNode, *_: Any) -> None:
        if node.loc is not None:
            self.found[node.loc.start] = float(node.value)


def slots_of(lifted: Lifted, document: DocumentNode) -> dict[int, int] | None:
    """The position of each lifted literal in the document: offset to index.

    None when the scan and the parser differ for this document: it is then cached by its whole text.
    """
    visitor = _Literals()
    visit(document, visitor)
    offsets: list[int] = []
    offset = 0
    for index, piece in enumerate(_LITERAL.split(lifted.text)):
        if index % 2 and _decode(piece)[0] is not None:
            offsets.append(offset)
        offset += len(piece)
    if visitor.found != dict(zip(offsets, lifted.literals, strict=True)):
        return None
    return {offset: index for index, offset in enumerate(offsets)}
