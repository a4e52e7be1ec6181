"""The search in a run's log as a query; the same is answered over plain HTTP (`services/gateway/downloads`)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import strawberry

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import exact_json
from services.gateway import compat
from services.gateway.context import Context
from services.gateway.downloads import parameters
from services.gateway.reads.caller import Caller
from services.gateway.requests import BadRequestError


@strawberry.type(name="log_match")
@dataclass
class LogMatch:
    """A line that matches. `position` counts from 1 in the whole log, `column` from 1 in the line's message."""

    position: int
    column: int | None
    id: UUID
    flow_run_id: UUID
    task_run_id: UUID | None
    timestamp: datetime
    sequence: str
    level: str | None
    logger: str | None
    message: str | None


@strawberry.type(name="log_matches")
@dataclass
class LogMatches:
    """How many lines match in all, and a page of them."""

    count: int
    matches: list[LogMatch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for; null says nothing."""

    text: str | None
    level: str | None
    logger: str | None
    task_run_id: UUID | None
    limit: int
    after: int


async def search(context: Context, flow_run_id: UUID, asked: Search) -> LogMatches:
    """The matches after the line at position `after`; a run of another tenant is answered like none."""
    lines = context.shared.downloads.lines
    caller = context.caller or Caller(context.owner)
    try:
        wanted = parameters.log_search(_given(asked))
        if not await lines.is_there(context.tenant_id, flow_run_id, caller):
            fields = {"id": str(flow_run_id)}
            raise compat.error_of(Refused(code=Code.FLOW_RUN_INVALID_ID, fields=fields))
        found = exact_json.loads(await lines.search(context.tenant_id, flow_run_id, wanted, caller))
    except BadRequestError as error:
        refused = Refused(code=Code.INVALID, fields={"reason": str(error)})
        raise compat.error_of(refused) from None
    return LogMatches(
        count=found["count"],
        matches=[_match(flow_run_id, match) for match in found["matches"]],
    )


def _given(asked: Search) -> dict[str, str]:
    """As the address of a download has it, so that both are read by one rule."""
    return {
        name: str(value)
        for name in ("text", "level", "logger", "task_run_id", "limit", "after")
        if (value := getattr(asked, name)) is not None
    }


def _match(flow_run_id: UUID, match: dict[str, object]) -> LogMatch:
    known = {
        **match,
        "flow_run_id": flow_run_id,
        "timestamp": datetime.fromisoformat(str(match["timestamp"])),
        # Beyond what an Int of GraphQL holds.
        "sequence": str(match["sequence"]),
    }
    return LogMatch(**known)  # type: ignore[arg-type]  # the statement in `lines` gives these
