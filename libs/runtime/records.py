"""Rows for a statement by name: the SQL names its record sets and values in braces, Python gives rows of NamedTuples.

`{moved}` in `queries/write.sql` becomes `unnest($1::uuid[], $2::text[]) AS moved (run_id, state)` for
`RecordStatement(__file__, "write", moved=Moved)`, where `class Moved(NamedTuple)` has the fields `run_id: UUID` and
`state: str`. A name that is no record set is a single value: `{at}`. So no statement counts columns, and a field that
is moved or added moves in SQL too.

Several classes in the place of one are the parts of a row, side by side: `moved=(State, OfFlowRun)`. The rows are then
tuples of the fields of both.

The rows become arrays. `jsonb_to_recordset` would have each row written as JSON and read back.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import UnionType
from typing import Any, Self, get_args, get_type_hints
from uuid import UUID

import asyncpg

from libs.contracts.base import JsonObject
from libs.runtime.database import Connection, names, statement

_TYPES: dict[object, str] = {
    UUID: "uuid",
    str: "text",
    int: "int",
    bool: "boolean",
    bytes: "bytea",
    datetime: "timestamptz",
    timedelta: "interval",
    JsonObject: "jsonb",
}
_NAME = re.compile(r"\{(\w+)\}")

Row = type[tuple[Any, ...]]
Record = Row | tuple[Row, ...]
"""The class of the rows of a record set, or of the parts of its rows."""


class RecordStatement:
    """The statement in `queries/<name>.sql` beside the module, with these record sets.

    Raises TypeError for a field whose type has no PostgreSQL type here, and for a record set that is not used.
    """

    def __init__(self, module_file: str, name: str, **records: Record) -> None:
        self._write(statement(module_file, name), name, records)

    @classmethod
    def of(cls, source: str, name: str, **records: Record) -> Self:
        """The statement with this text, where it stands in no file; `name` is what traces call it."""
        made = cls.__new__(cls)
        made._write(source, name, records)
        return made

    def _write(self, source: str, name: str, records: Mapping[str, Record]) -> None:
        self._widths: dict[str, int] = {}
        self._values: list[str] = []
        used = list(dict.fromkeys(_NAME.findall(source)))
        written: dict[str, str] = {}
        number = 1
        for record, row in records.items():
            if record not in used:
                msg = f"{record}: the statement `{name}` has no such set"
                raise TypeError(msg)
            used.remove(record)
            columns = _columns_of(row)
            self._widths[record] = len(columns)
            arrays = ", ".join(
                f"${index}::{type_}[]" for index, type_ in enumerate(columns.values(), start=number)
            )
            written[record] = f"unnest({arrays}) AS {record} ({', '.join(columns)})"
            number += len(columns)
        for value in used:
            self._values.append(value)
            written[value] = f"${number}"
            number += 1
        self.text = _NAME.sub(lambda found: written[found[1]], source)
        names[self.text] = names.get(source, name)

    def arguments(self, **given: Any) -> list[object]:
        """The arguments of the statement: an iterable of rows for each record set, and each single value.

        KeyError for a missing one, TypeError for one that the statement does not have.
        """
        if len(given) > len(self._widths) + len(self._values):
            unknown = given.keys() - self._widths.keys() - set(self._values)
            msg = f"the statement has no {', '.join(sorted(unknown))}"
            raise TypeError(msg)
        arguments: list[object] = []
        for record, width in self._widths.items():
            arguments += _arrays(given[record], width)
        arguments += [given[value] for value in self._values]
        return arguments

    async def execute(self, connection: Connection, **given: Any) -> str:
        """Execute it; returns PostgreSQL's command tag."""
        return await connection.execute(self.text, *self.arguments(**given))

    async def fetch(self, connection: Connection, **given: Any) -> list[asyncpg.Record]:
        """Execute it; returns the rows."""
        return await connection.fetch(self.text, *self.arguments(**given))


def _arrays(rows: Iterable[tuple[Any, ...]], width: int) -> list[Any]:
    return list(zip(*rows, strict=True)) or [()] * width


def _columns_of(record: Record) -> dict[str, str]:
    """The PostgreSQL type of each field, in the order of fields."""
    columns: dict[str, str] = {}
    for row in record if isinstance(record, tuple) else (record,):
        for field, hint in get_type_hints(row).items():
            if field in columns:
                msg = f"{field}: it is in two parts of the row"
                raise TypeError(msg)
            columns[field] = _type_of(field, hint)
    return columns


def _type_of(field: str, hint: object) -> str:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    kind = kinds[0] if isinstance(hint, UnionType) and len(kinds) == 1 else hint
    if kind not in _TYPES:
        msg = f"{field}: no PostgreSQL type for {hint}"
        raise TypeError(msg)
    return _TYPES[kind]
