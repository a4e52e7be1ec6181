"""Actions on many runs or flows at once (`services/gateway/bulk`)."""

from dataclasses import dataclass
from uuid import UUID

from graphql import GraphQLError

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime import metrics
from services.gateway import compat
from services.gateway.bulk.decisions import Action
from services.gateway.bulk.selection import Selected, SelectionError
from services.gateway.bulk.store import UNFINISHED_OF_TENANT, Request, Row, TooManyError
from services.gateway.context import Context
from services.gateway.graphql.dialect import mutation
from services.gateway.graphql.scalars import JSON
from services.gateway.reads.caller import Caller
from services.gateway.shares import BusyError

_SHOWN = 100  # items in an answer; `bulk_request` pages through all
_PATIENCE = 8.0  # seconds that an answer waits for the end; clients give up after 15
_LONGEST_KEY = 200


@dataclass
class BulkFlowRuns:
    """Either `ids` or `where`, the filter of the list `flow_run`. `state` is for SET_STATE alone.

    `action` is CANCEL, DELETE, RESTART, SET_STATE or RUN_NOW. The same `request_key` is the same request for ever.
    """

    request_key: str
    action: str
    ids: list[UUID] | None = None
    where: JSON | None = None
    state: JSON | None = None
    dry_run: bool = False


@dataclass
class BulkFlows:
    """The same for flows; `action` is ARCHIVE."""

    request_key: str
    action: str
    ids: list[UUID] | None = None
    where: JSON | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class BulkItem:
    """`outcome` is done, refused (`reason` says why), not_found, or null while it waits.

    `state` and `version` are those it has now. `name` is said by a dry run alone.
    """

    id: UUID
    position: int
    outcome: str | None
    reason: str | None
    state: str | None
    version: int | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class BulkPayload:
    """How far it is, and the first hundred items. Each item has its own outcome and reason.

    `success` and `error` are about the request as a whole: it was taken, and `done`, `refused` and `not_found` count
    what came of its items. `error` is set, and `success` false, only where there were items and not one was done.
    """

    id: UUID | None
    request_key: str
    action: str
    dry_run: bool
    finished: bool
    success: bool
    total: int
    done: int
    refused: int
    not_found: int
    pending: int
    items: list[BulkItem]
    error: str | None = None


_OF_RUNS = (Action.CANCEL, Action.DELETE, Action.RESTART, Action.SET_STATE, Action.RUN_NOW)


@mutation("bulk_flow_runs", camel=None)
async def bulk_flow_runs(context: Context, input: BulkFlowRuns) -> BulkPayload:
    """Cancel, delete, restart, set or start many flow runs, each only as it was seen."""
    action = _action(input.action, _OF_RUNS)
    if (input.state is None) == (action is Action.SET_STATE):
        raise _invalid("state: SET_STATE needs it, and no other action takes it.")
    return await _bulk(context, "flow_run", action, input, state=input.state)


@mutation("bulk_flows", camel=None)
async def bulk_flows(context: Context, input: BulkFlows) -> BulkPayload:
    """Archive many flows."""
    return await _bulk(context, "flow", _action(input.action, (Action.ARCHIVE,)), input, state=None)


async def _bulk(
    context: Context,
    table: str,
    action: Action,
    given: BulkFlowRuns | BulkFlows,
    *,
    state: object,
) -> BulkPayload:
    context.require_name("request_key", given.request_key)
    if len(given.request_key) > _LONGEST_KEY:
        raise _invalid(f"request_key: at most {_LONGEST_KEY} characters; a UUID will do.")
    where = given.where
    if where is not None and not isinstance(where, dict):
        raise _invalid(f"where: it must be a JSON object, as the argument of the list {table}.")
    bulk = context.shared.bulk
    arguments = {
        "ids": None if given.ids is None else [str(id_) for id_ in given.ids],
        "where": where,
        "state": state,
    }
    found = None if given.dry_run else await bulk.store.find(context.tenant_id, given.request_key)
    if found is None:
        try:
            selected = await bulk.selection.select(
                table,
                ids=given.ids,
                where=where,
                identity=context.identity,
                caller=context.caller or Caller(context.owner),
            )
        except SelectionError as error:
            raise _invalid(str(error)) from None
        if given.dry_run:
            return _dry_run(given.request_key, action, selected)
        found = await _created(context, given.request_key, action, arguments, selected)
    if found.action is not action or found.arguments != arguments:
        raise _invalid("request_key: it was used for another request; choose another one.")
    if not found.finished:
        await bulk.worker.work(found.id, patience=_PATIENCE)
        found = await bulk.store.by_id(found.id) or found
    return payload(found, await bulk.store.rows(found.id, after=-1, limit=_SHOWN))


async def _created(
    context: Context,
    request_key: str,
    action: Action,
    arguments: dict[str, object],
    selected: Selected,
) -> Request:
    request = Request(
        id=context.shared.ids(),
        tenant_id=context.tenant_id,
        request_key=request_key,
        action=action,
        created_by=context.identity.user_id if context.identity.key else None,
        arguments=arguments,
        total=len(selected.items) + len(selected.missing),
        finished=False,
        counts={},
    )
    try:
        return await context.shared.bulk.store.create(request, selected.items, selected.missing)
    except TooManyError:
        text = (
            f"The tenant has {UNFINISHED_OF_TENANT} bulk requests that are not finished; wait for one of them, and send"
            " this one again."
        )
        metrics.SHARES_REFUSED.labels("bulk_requests").inc()
        raise BusyError(text) from None


def payload(request: Request, rows: list[Row]) -> BulkPayload:
    """A request as clients read it."""
    counts = request.counts
    done = counts.get("done", 0)
    error = None
    if request.finished and request.total and not done:
        error = f"Of {request.total} items none was done; the outcome and reason of each say why."
    return BulkPayload(
        id=request.id,
        request_key=request.request_key,
        action=request.action.value,
        dry_run=False,
        finished=request.finished,
        success=error is None,
        total=request.total,
        done=done,
        refused=counts.get("refused", 0),
        not_found=counts.get("not_found", 0),
        pending=counts.get("pending", 0),
        items=[
            BulkItem(row.id, row.position, row.outcome, row.reason, row.state, row.version)
            for row in rows
        ],
        error=error,
    )


def _dry_run(request_key: str, action: Action, selected: Selected) -> BulkPayload:
    total = len(selected.items) + len(selected.missing)
    error = None if selected.items or not total else f"Of {total} ids none is known here."
    return BulkPayload(
        id=None,
        request_key=request_key,
        action=action.value,
        dry_run=True,
        finished=False,
        success=error is None,
        total=total,
        done=0,
        refused=0,
        not_found=len(selected.missing),
        pending=len(selected.items),
        items=[
            BulkItem(
                item.id, item.position, None, None, item.seen_state or None, item.seen_version, name
            )
            for item, name in zip(selected.items[:_SHOWN], selected.names, strict=False)
        ],
        error=error,
    )


def _action(given: str, known: tuple[Action, ...]) -> Action:
    if given not in known:
        raise _invalid(f"action: {given[:50]!r} is not known; say {', '.join(known)}.")
    return Action(given)


def _invalid(reason: str) -> GraphQLError:
    return compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))
