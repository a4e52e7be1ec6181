"""How a value becomes a cell of CSV. Pure.

A spreadsheet takes a cell that begins with one of a few characters for a formula, which may send data to another host.
Names, messages and parameters are written by all who may run a flow. So such a text gets an apostrophe before it, as
OWASP advises; numbers that we know to be numbers do not.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from libs.runtime import exact_json

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> str:
    """One value of a row as text: null is empty, objects and arrays are JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else exact_json.dumps(value).decode()
    return f"'{text}" if text.startswith(_FORMULA) else text


def rows_as_csv(rows: Iterable[Sequence[Any]]) -> bytes:
    """The rows as RFC 4180 has them, in UTF-8."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(
        [cell(value) for value in row] for row in rows
    )
    return written.getvalue().encode()
