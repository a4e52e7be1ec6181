"""The runs or flows of a bulk request: by the filter of the list, through the read path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLError, parse

from libs.contracts.base import JsonObject, Refused
from libs.contracts.errors import Code
from libs.runtime import exact_json
from services.gateway import compat
from services.gateway.bulk.decisions import Item
from services.gateway.identity import Identity
from services.gateway.reads import BadVariables, Reader, ReadPath
from services.gateway.reads.caller import Caller

MOST_ITEMS = 10_000
_COLUMNS = {"flow_run": "id name version state", "flow": "id name version archived"}


class SelectionError(Exception):
    """The selection cannot be made; the text is for the client."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The items found, with their names; and ids that the tenant does not have."""

    items: Sequence[Item]
    names: Sequence[str | None]
    missing: Sequence[UUID]


class Selection:
    """Selects for one tenant after another."""

    def __init__(self, reads: ReadPath, reader: Reader) -> None:
        self._reads = reads
        self._reader = reader

    async def select(
        self,
        table: str,
        *,
        ids: Sequence[UUID] | None,
        where: JsonObject | None,
        identity: Identity,
        caller: Caller,
    ) -> Selected:
        """Those of `ids`, or those that `where` finds; raises SelectionError, GraphQLError and BusyError."""
        if (ids is None) == (where is None):
            msg = "Give either ids or where; where: {} is everything."
            raise SelectionError(msg)
        if ids is not None and len(ids) > MOST_ITEMS:
            msg = f"ids: {len(ids)} are named; at most {MOST_ITEMS} are done in one request. Send several."
            raise SelectionError(msg)
        condition = where if ids is None else {"id": {"_in": [str(id_) for id_ in ids]}}
        rows = await self._rows(table, condition, identity, caller)
        items = [
            Item(n, UUID(r["id"]), r["version"], r.get("state") or "") for n, r in enumerate(rows)
        ]
        found = {item.id for item in items}
        missing = [id_ for id_ in dict.fromkeys(ids or ()) if id_ not in found]
        return Selected(items, [row["name"] for row in rows], missing)

    async def _rows(
        self, table: str, where: JsonObject | None, identity: Identity, caller: Caller
    ) -> list[dict[str, Any]]:
        text = (
            f"query ($where: {table}_bool_exp) {{"
            f" found: {table}(where: $where, order_by: {{id: asc}}, limit: {MOST_ITEMS}) {{ {_COLUMNS[table]} }}"
            f" more: {table}(where: $where, order_by: {{id: asc}}, offset: {MOST_ITEMS}, limit: 1) {{ id }} }}"
        )
        try:
            plan = self._reads.compile(text, parse(text), None, {"where": where})
        except BadVariables as error:
            msg = f"where: {'; '.join(each.message for each in error.errors)}"
            raise SelectionError(msg) from None
        if plan.names(identity.rights.unreadable):
            raise compat.error_of(Refused(code=Code.FORBIDDEN))
        answers = await self._reader.execute(plan, identity.tenant_id, caller=caller)
        for answer in answers.values():
            if isinstance(answer, GraphQLError):
                raise GraphQLError(answer.message, extensions=answer.extensions)
        found, more = (exact_json.loads(answers[key]) for key in ("found", "more"))  # type: ignore[arg-type]  # as above
        if more:
            msg = f"where: more than {MOST_ITEMS} match; filter more narrowly, and send several requests."
            raise SelectionError(msg)
        rows: list[dict[str, Any]] = found
        return rows
