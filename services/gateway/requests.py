"""A client's request: one operation or an array of them, in JSON.

`variables` may be an object, a string of JSON (as prefect.Client sends it), or absent.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from json import scanner
from typing import Any

from libs.runtime import exact_json
from libs.runtime.exact_json import MOST_LEVELS

BATCH_LIMIT = 100  # operations in one array; the web UI sends 25 at most
MOST_CONTAINERS = 200_000  # objects and arrays in a body; a flow of 20,000 tasks has half as many
MOST_VALUES = 2_000_000
_DENSE = 30_000  # objects and arrays, or ten times as many values
_HEAD = re.compile(
    r"(?:\s|#[^\n]*\n)*(?:(query|mutation|subscription)\b\s*(\w+)?[^{]*)?\{\s*(?:\w+\s*:\s*)?(\w+)?"
)

Text = bytearray | str
Loads = Callable[[Text], Any]
Variables = dict[str, Any]


class BadRequestError(Exception):
    """The body is not a GraphQL request; the text says what is expected."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Operation:
    """A client's operation; a GET may not write."""

    query: str
    variables: Variables | None
    name: str | None
    may_write: bool = True
    odd: bool = False
    """Whether `odd_text` must check it first."""
    is_large: bool = False
    """Whether it has so many variables that they are processed in the thread."""

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing for sure, so that nothing is lost when its client has left."""
        return "mutation" not in self.query


Given = Operation | list[Operation | BadRequestError]


def containers_in(body: bytearray) -> int:
    """Most objects and arrays of a body; brackets in strings count too."""
    return body.count(b"[") + body.count(b"{")


def operations_in(body: bytearray) -> Given:
    """The operation, or the batch in order; a bad one in a batch fails alone."""
    return _SMALL.read(body)


def operations_in_large(body: bytearray) -> Given:
    """The same for a body that is large or has very many values; for the thread.

    Bodies with many values are parsed in Python: slower, but it releases the GIL, which orjson keeps to the end.
    """
    containers = containers_in(body)
    values = containers + body.count(b",")
    if containers > MOST_CONTAINERS or values > MOST_VALUES:
        msg = (
            f"The request body has more than {MOST_CONTAINERS} objects and arrays, or more than {MOST_VALUES} values;"
            " send it in parts."
        )
        raise BadRequestError(msg, status=413)
    is_dense = containers > _DENSE or values > 10 * _DENSE
    return _Reader(_loads_in_python if is_dense else exact_json.loads, is_large=True).read(body)


def operation_of(item: Any) -> Operation:
    """The operation of a small JSON object; raises BadRequestError."""
    return _SMALL.operation(item, odd=False)


def title_of(operation: Operation) -> str:
    """The name of an operation in traces: its kind and name, else its first field. No argument, no literal."""
    head = _HEAD.match(operation.query[:2000])
    if head is None:
        return "operation"
    asked = operation.name if operation.name and operation.name.isidentifier() else None
    name = asked or head[2] or head[3] or "operation"
    return f"{head[1] or 'query'} {name[:100]}"


class _Reader:
    def __init__(self, loads: Loads, *, is_large: bool) -> None:
        self._loads = loads
        self._is_large = is_large

    def read(self, body: bytearray) -> Given:
        value, odd = self._value(body, "The request body is")
        if not isinstance(value, list):
            return self.operation(value, odd=odd)
        if not value:
            msg = "The batch of operations is empty."
            raise BadRequestError(msg)
        if len(value) > BATCH_LIMIT:
            msg = f"The batch has {len(value)} operations; at most {BATCH_LIMIT} are answered at once."
            raise BadRequestError(msg)
        batch: list[Operation | BadRequestError] = []
        for item in value:
            try:
                batch.append(self.operation(item, odd=odd))
            except BadRequestError as error:
                batch.append(error)
        return batch

    def operation(self, item: Any, *, odd: bool) -> Operation:
        if not isinstance(item, dict):
            msg = "A GraphQL request is a JSON object with the key `query`."
            raise BadRequestError(msg)
        query = item.get("query")
        if not isinstance(query, str) or not query.strip():
            msg = "The key `query` must be a string with a GraphQL document."
            raise BadRequestError(msg)
        variables = item.get("variables")
        if isinstance(variables, str):  # prefect.Client sends json.dumps(variables)
            variables, are_odd = self._value(
                variables or "null", "The key `variables` is a string that is"
            )
            odd = odd or are_odd
        if variables is not None and not isinstance(variables, dict):
            msg = "The key `variables` must be an object, a string of JSON, or null."
            raise BadRequestError(msg)
        name = item.get("operationName")
        if name is not None and not isinstance(name, str):
            msg = "The key `operationName` must be a string or null."
            raise BadRequestError(msg)
        # A literal has another form of U+0000.
        odd = odd or "\\u{" in query
        return Operation(query, variables, name or None, odd=odd, is_large=self._is_large)

    def _value(self, text: Text, what: str) -> tuple[Any, bool]:
        """The value of a JSON text, and whether it is odd: it may have characters that cannot be stored
        (`odd_text`)."""
        try:
            value = self._loads(text)
        except ValueError as error:
            try:
                return exact_json.loads_leniently(text), True
            except ValueError:
                msg = f"{what} not JSON: {error}."
                raise BadRequestError(msg) from None
        # Counting is quick, and very few requests have enough brackets to be too deep.
        if isinstance(text, str):
            is_odd, brackets = "\\u0000" in text, text.count("[") + text.count("{")
        else:
            is_odd, brackets = b"\\u0000" in text, text.count(b"[") + text.count(b"{")
        if brackets > MOST_LEVELS:
            is_odd = is_odd or exact_json.is_deeper_than(MOST_LEVELS, value)
        return value, is_odd


_SMALL = _Reader(exact_json.loads, is_large=False)


class _Decoder(json.JSONDecoder):
    """The standard library's, with its reader in Python."""

    def __init__(self) -> None:
        super().__init__(parse_int=exact_json.whole, parse_constant=_refuse_constant)
        self.scan_once = scanner.py_make_scanner(self)  # type: ignore[attr-defined]  # not in the stubs


def _loads_in_python(text: Text) -> Any:
    """As `exact_json.loads`; ValueError for what is not JSON or is odd."""
    characters = text if isinstance(text, str) else text.decode()
    if "\\ud" in characters or "\\uD" in characters:
        msg = "it may have half of a surrogate pair"
        raise ValueError(msg)
    try:
        return _Decoder().decode(characters)
    except RecursionError:
        msg = "it is nested too deeply"
        raise ValueError(msg) from None


def _refuse_constant(name: str) -> Any:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)
