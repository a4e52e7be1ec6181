"""Works through bulk requests, a batch at a time, and takes over those of gateways that were killed."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

from libs.contracts import registry, runs
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.runs import SetStates, StateProposal
from libs.runtime import exact_json, log
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock
from libs.runtime.failures import is_outage
from services.gateway import compat
from services.gateway.bulk.decisions import (
    FAILED,
    GONE,
    MOST_FAILED,
    Action,
    FailedTask,
    Item,
    Outcome,
    Result,
    moved_on,
    propose,
    result,
)
from services.gateway.bulk.store import BulkStore, Request
from services.gateway.shares import BusyError, Shares

# Items of a batch, and batches under way: while the ledger decides one, another is stored and the next one read.
# Together they have as many items as other commands may wait for.
_BATCH = 50
_UNDER_WAY = 2
_BATCH_OF_RESTARTS = 20  # each brings its failed task runs
_BATCH_BYTES = 256 * 1024  # of states in one message
_AT_ONCE = 8  # commands that take one item each
_TRANSIENT = frozenset((Code.BUSY, Code.UNAVAILABLE, Code.INTERNAL))
_log = log.get("gateway")


class _AwayError(Exception):
    """A service neither did it nor refused it: it is repeated later."""


class BulkWorker:
    """One for each gateway; `id` names it to the others."""

    def __init__(
        self, store: BulkStore, bus: Bus, *, clock: Clock, id_: UUID, retention: timedelta
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._id = id_
        self._retention = retention
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._turns = Shares(
            "bulk", 4, of_tenant=2, of_key=2, patience=600.0, what="their bulk requests to end"
        )

    async def tick(self) -> int:
        """Take over requests without a worker, and delete old ones; returns how many were taken over."""
        found = await self._store.abandoned()
        for request_id in found:
            self._start(request_id)
        await self._store.delete_old(self._retention)
        return len(found)

    async def work(self, request_id: UUID, *, patience: float) -> None:
        """Start work on the request, and wait this many seconds for its end."""
        await asyncio.wait([self._start(request_id)], timeout=patience)

    async def stop(self) -> None:
        """Stop at once: the rest is taken over, by another gateway or after the start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, request_id: UUID) -> "asyncio.Task[None]":
        task = self._tasks.get(request_id)
        if task is None:
            task = asyncio.create_task(self._attempt(request_id), name=f"bulk:{request_id}")
            self._tasks[request_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(request_id, None))
        return task

    async def _attempt(self, request_id: UUID) -> None:
        try:
            request = await self._store.by_id(request_id)
            if request is not None and not request.finished:
                async with self._turns.of((request.tenant_id, None)):
                    await self._run(request)
        except Exception as error:
            # Nothing is lost: after the end of the lease a gateway takes the request over, also this one.
            is_known = isinstance(error, _AwayError | BusyError) or is_outage(error)
            _log.warning(
                "bulk_request_put_off",
                request_id=str(request_id),
                error=str(error),
                exc_info=None if is_known else error,
            )

    async def _run(self, request: Request) -> None:
        size, most = _batches(request)
        under_way: set[asyncio.Task[None]] = set()
        after = -1
        try:
            while await self._store.claim(request.id, self._id):
                items = await self._store.pending(request.id, after=after, limit=size)
                if not items and not under_way:
                    await self._store.finish(request.id)
                    return
                if items:
                    after = items[-1].position
                    under_way.add(asyncio.create_task(self._batch(request, items)))
                if len(under_way) == most or not items:
                    ended, under_way = await asyncio.wait(
                        under_way, return_when=asyncio.FIRST_COMPLETED
                    )
                    for batch in ended:
                        batch.result()
        except asyncio.CancelledError:
            for batch in under_way:
                batch.cancel()
            raise
        finally:
            # A batch that failed takes no results away from the others.
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _batch(self, request: Request, items: Sequence[Item]) -> None:
        await self._store.record(request.id, await self._do(request, items))

    async def _do(self, request: Request, items: Sequence[Item]) -> list[Result]:
        match request.action:
            case Action.DELETE:
                return await self._delete(request, items)
            case Action.ARCHIVE:
                return await _each(items, lambda item: self._archive(request, item))
            case _:
                return await self._set_states(request, items)

    async def _set_states(self, request: Request, items: Sequence[Item]) -> list[Result]:
        failed: dict[UUID, list[FailedTask]] = defaultdict(list)
        if request.action is Action.RESTART:
            found = await self._store.task_runs_in(
                request.tenant_id, [i.id for i in items], sorted(FAILED), limit=MOST_FAILED + 1
            )
            if len(found) > MOST_FAILED and len(items) > 1:
                # One after another; a run that has too many by itself is refused unchanged.
                return [r for item in items for r in await self._set_states(request, [item])]
            for flow_run_id, task_run_id, version in found:
                failed[flow_run_id].append(FailedTask(task_run_id, version))
        results: list[Result] = []
        proposals: list[StateProposal] = []
        last: list[tuple[int, Item, str]] = []
        for item in items:
            proposed = propose(
                request.action,
                item,
                state=request.arguments.get("state"),
                failed=failed[item.id],
                now=self._clock(),
            )
            if isinstance(proposed, Result):
                results.append(proposed)
                continue
            proposals += proposed
            state = proposed[-1].state
            wanted = str(state.get("type")) if isinstance(state, dict) else ""
            last.append((len(proposals) - 1, item, wanted))
        if proposals:
            reply = await self._bus.call(
                runs.SET_STATES,
                SetStates(
                    tenant_id=request.tenant_id, proposals=proposals, actor=request.created_by
                ),
            )
            if isinstance(reply, Refused):
                raise _AwayError(compat.error_of(reply).message)
            for index, item, wanted in last:
                outcome = reply.outcomes[index]
                if isinstance(outcome, Refused) and outcome.code in _TRANSIENT:
                    raise _AwayError(compat.error_of(outcome).message)
                results.append(result(item, outcome, wanted=wanted))
        return results

    async def _delete(self, request: Request, items: Sequence[Item]) -> list[Result]:
        async def delete(item: Item) -> Result:
            reply = await self._bus.call(
                runs.DELETE_FLOW_RUN,
                runs.DeleteFlowRun(
                    tenant_id=request.tenant_id,
                    flow_run_id=item.id,
                    seen_version=item.seen_version,
                ),
            )
            if isinstance(reply, Refused):
                raise _AwayError(compat.error_of(reply).message)
            if reply.success:
                return Result(position=item.position, outcome=Outcome.DONE)
            now = await self._store.versions(request.tenant_id, [item.id])
            if item.id in now:
                version, state = now[item.id]
                return moved_on(item, version=version, state=state)
            # It existed when the request was made, and is deleted now as requested, by us or another.
            return Result(position=item.position, outcome=Outcome.DONE, reason=GONE)

        return await _each(items, delete)

    async def _archive(self, request: Request, item: Item) -> Result:
        reply = await self._bus.call(
            registry.ARCHIVE_FLOW,
            registry.FlowCommand(tenant_id=request.tenant_id, flow_id=item.id),
        )
        if isinstance(reply, Refused):
            if reply.code in _TRANSIENT:
                raise _AwayError(compat.error_of(reply).message)
            reason = compat.error_of(reply).message
            return Result(position=item.position, outcome=Outcome.REFUSED, reason=reason)
        if not reply.success:
            return Result(position=item.position, outcome=Outcome.NOT_FOUND, reason=GONE)
        return Result(position=item.position, outcome=Outcome.DONE)


def _batches(request: Request) -> tuple[int, int]:
    """How many items are in a batch, and how many batches are under way."""
    match request.action:
        case Action.RESTART:
            return _BATCH_OF_RESTARTS, 1
        case Action.SET_STATE:
            length = len(exact_json.dumps(request.arguments["state"]))
            return max(1, min(_BATCH, _BATCH_BYTES // length)), _UNDER_WAY
        case Action.DELETE | Action.ARCHIVE:
            # Some at a time already.
            return 2 * _BATCH, 1
        case _:
            return _BATCH, _UNDER_WAY


async def _each(items: Sequence[Item], do: Callable[[Item], Awaitable[Result]]) -> list[Result]:
    """One command for each, some at a time."""
    results: list[Result] = []
    for start in range(0, len(items), _AT_ONCE):
        results += await asyncio.gather(*(do(item) for item in items[start : start + _AT_ONCE]))
    return results
