"""A table as CSV, by the read path: its tenant's predicate, its filters, its limits, a page of rows at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLError, parse

from libs.contracts.base import JsonObject, Refused
from libs.contracts.errors import Code
from libs.runtime import exact_json
from services.gateway import compat
from services.gateway.downloads.cells import rows_as_csv
from services.gateway.downloads.parameters import TableDownload
from services.gateway.identity import Identity
from services.gateway.reads import Reader, ReadPath
from services.gateway.reads.caller import Caller
from services.gateway.reads.catalog import Table
from services.gateway.requests import BadRequestError

PAGE_ROWS = 1_000
_ROWS, _KEY = "rows", "key_of_row"  # response keys; no column has such a name

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowsPage:
    """Rows as CSV, and the id of the last; None after the last page."""

    body: bytes
    after: UUID | None


class Tables:
    """Reads tables for one caller after another."""

    def __init__(self, reads: ReadPath, reader: Reader) -> None:
        self._reads = reads
        self._reader = reader

    def table(self, name: str) -> Table | None:
        """A table with ids, by its GraphQL name."""
        found = self._reads.catalog.tables.get(name)
        return found if found is not None and found.key is not None else None

    def columns(self, table: Table, asked: TableDownload) -> Sequence[Path]:
        """The columns to write; raises BadRequestError for an unknown column."""
        if asked.columns is None:
            return [(name,) for name in table.columns]
        for path in asked.columns:
            self._check(table, path)
        return asked.columns

    def _check(self, table: Table, path: Path) -> None:
        at = table
        for name in path[:-1]:
            relation = at.relationships.get(name)
            if relation is None or relation.many:
                msg = f"columns: {'.'.join(path)!r}: {at.name} has no relation {name!r} to one row."
                raise BadRequestError(msg)
            at = self._reads.catalog[relation.target]
        if path[-1] not in at.columns:
            names = ", ".join(at.columns)
            msg = f"columns: {'.'.join(path)!r}: {at.name} has no column {path[-1]!r}; it has {names}."
            raise BadRequestError(msg)

    async def page(
        self,
        table: Table,
        columns: Sequence[Path],
        asked: TableDownload,
        after: UUID | None,
        *,
        identity: Identity,
        caller: Caller,
    ) -> RowsPage:
        """The rows after an id; raises BadVariables, GraphQLError and BusyError as the read path does."""
        order = "desc" if asked.descending else "asc"
        text = (
            f"query ($where: {table.name}_bool_exp) {{ {_ROWS}: {table.name}(where: $where, order_by: {{id: {order}}},"
            f" limit: {PAGE_ROWS}) {{ {_KEY}: id {_selection(columns)} }} }}"
        )
        where = _both(asked.where, after, descending=asked.descending)
        plan = self._reads.compile(text, parse(text), None, {"where": where})
        if plan.names(identity.rights.unreadable):
            # A filter or a column through a relation tells of another table too.
            raise compat.error_of(Refused(code=Code.FORBIDDEN))
        answer = (await self._reader.execute(plan, identity.tenant_id, caller=caller))[_ROWS]
        if isinstance(answer, GraphQLError):
            raise answer
        rows = exact_json.loads(answer)
        body = rows_as_csv([_at(row, path) for path in columns] for row in rows)
        return RowsPage(body, UUID(rows[-1][_KEY]) if len(rows) == PAGE_ROWS else None)


def header(columns: Iterable[Path]) -> bytes:
    """The first line: the names as they were requested."""
    return rows_as_csv([[".".join(path) for path in columns]])


def _both(where: JsonObject | None, after: UUID | None, *, descending: bool) -> JsonObject | None:
    if after is None:
        return where
    rest: JsonObject = {"id": {"_lt" if descending else "_gt": str(after)}}
    return rest if where is None else {"_and": [where, rest]}


def _selection(columns: Iterable[Path]) -> str:
    """GraphQL merges fields that are selected twice, so every path may be written out."""
    return " ".join(f"{' { '.join(path)}{' }' * (len(path) - 1)}" for path in columns)


def _at(row: Any, path: Path) -> Any:
    for name in path:
        if row is None:
            return None
        row = row[name]
    return row
