"""Bulk requests as a query: what came of each item (`services/gateway/bulk`)."""

from dataclasses import dataclass
from uuid import UUID

import strawberry

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway import compat
from services.gateway.bulk.decisions import Outcome
from services.gateway.context import Context

_MOST = 1_000  # items of a page


@strawberry.type(name="bulk_request_item")
@dataclass
class Item:
    """`outcome` is done, refused (`reason` says why), not_found, or null while it waits."""

    id: UUID
    position: int
    outcome: str | None
    reason: str | None
    state: str | None
    version: int | None


@strawberry.type(name="bulk_request")
@dataclass
class BulkRequest:
    """How far a bulk request is, and a page of its items."""

    id: UUID
    request_key: str
    action: str
    finished: bool
    total: int
    done: int
    refused: int
    not_found: int
    pending: int
    items: list[Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Items after a position, and of one outcome if it is given."""

    after: int
    limit: int
    outcome: str | None


async def read(context: Context, request_key: str, page: Page) -> BulkRequest | None:
    """The tenant's request of this key."""
    if not 1 <= page.limit <= _MOST:
        raise _invalid(f"limit: it must be from 1 to {_MOST}; page with after.")
    if page.outcome is not None and page.outcome not in frozenset(Outcome):
        raise _invalid(f"outcome: it is one of {', '.join(Outcome)}.")
    store = context.shared.bulk.store
    found = await store.find(context.tenant_id, request_key)
    if found is None:
        return None
    rows = await store.rows(found.id, after=page.after, limit=page.limit, outcome=page.outcome)
    return BulkRequest(
        id=found.id,
        request_key=found.request_key,
        action=found.action.value,
        finished=found.finished,
        total=found.total,
        done=found.counts.get(Outcome.DONE, 0),
        refused=found.counts.get(Outcome.REFUSED, 0),
        not_found=found.counts.get(Outcome.NOT_FOUND, 0),
        pending=found.counts.get("pending", 0),
        items=[
            Item(row.id, row.position, row.outcome, row.reason, row.state, row.version)
            for row in rows
        ],
    )


def _invalid(reason: str) -> Exception:
    return compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
