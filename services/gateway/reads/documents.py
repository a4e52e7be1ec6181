"""Documents without their literals: what makes a compiled document reusable.

Prefect's clients write ids and timestamps into the document itself, so no two texts are equal. `lift` takes string and
number literals out in one scan, without parsing; what is left, the skeleton, is the same for all of them and keys the
cache of compiled documents.
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

# Comments and block strings are matched so that quotes inside them are not taken for strings; both stay in place.
_LITERAL = re.compile(
    r'(?P<kept>"""(?:\\"""|[^"]|"(?!""))*"""|\#[^\n\r]*)'
    r'|(?P<string>"(?:[^"\\\n\r]|\\.)*")'
    r"|(?P<number>(?<![\w$])-?\d+(?P<fraction>\.\d+)?(?P<exponent>[eE][+-]?\d+)?(?![\w.]))"
)
_INT_MAX = 2**31 - 1
_INT_MIN = -(2**31)


@dataclass(frozen=True, slots=True)
class Lifted:
    """A skeleton, and the literals that were lifted out of it, in order, with the offsets they stood at."""

    skeleton: str
    literals: tuple[Any, ...]
    offsets: tuple[int, ...]


_PLAIN_DOCUMENTS = 256
_PLAIN_LENGTH = 10_000  # characters; with the number above, 10 MB at the very most
_plain: dict[str, Lifted] = {}
"""Documents without literals, as clients that send variables repeat them: found by their text instead of scanned."""


def lift(text: str) -> Lifted:
    """Split a document into its skeleton and its literals."""
    known = _plain.get(text)
    if known is not None:
        return known
    literals: list[Any] = []
    offsets: list[int] = []
    pieces: list[str] = []
    last = 0
    for match in _LITERAL.finditer(text):
        kind = match.lastgroup
        if kind == "kept":
            continue
        token = match.group()
        mark, value = _decode(
            token, is_string=kind == "string", is_float="fraction" in _groups(match)
        )
        if mark is None:
            continue
        pieces += (text[last : match.start()], mark)
        last = match.end()
        literals.append(value)
        offsets.append(match.start())
    pieces.append(text[last:])
    lifted = Lifted("".join(pieces), tuple(literals), tuple(offsets))
    if not literals and len(text) <= _PLAIN_LENGTH:
        if len(_plain) >= _PLAIN_DOCUMENTS:
            _plain.clear()
        _plain[text] = lifted
    return lifted


def _groups(match: "re.Match[str]") -> tuple[str, ...]:
    return ("fraction",) if match["fraction"] or match["exponent"] else ()


def _decode(token: str, *, is_string: bool, is_float: bool) -> tuple[str | None, Any]:
    """The mark that stands for the literal (control characters, which no document contains) and its value."""
    if is_string:
        if "\\" not in token:
            return "\x01", token[1:-1]
        try:
            return "\x01", orjson.loads(token)
        except orjson.JSONDecodeError:
            return _decode_rare(token)
    if is_float:
        return "\x03", float(token)
    value = int(token)
    # Out of range stays in place, so that validation refuses it whether or not the skeleton is known.
    return ("\x02", value) if _INT_MIN <= value <= _INT_MAX else (None, None)


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
        if node.loc is not None and _INT_MIN <= int(node.value) <= _INT_MAX:
            self.found[node.loc.start] = int(node.value)

    def enter_float_value(self, node: FloatValueNode, *_: Any) -> None:
        if node.loc is not None:
            self.found[node.loc.start] = float(node.value)


def slots_of(lifted: Lifted, document: DocumentNode) -> dict[int, int] | None:
    """Where each lifted literal stands in the document: offset to index.

    None when the scan and the parser disagree about this document: it is then cached under its whole text.
    """
    visitor = _Literals()
    visit(document, visitor)
    if visitor.found != dict(zip(lifted.offsets, lifted.literals, strict=True)):
        return None
    return {offset: index for index, offset in enumerate(lifted.offsets)}
