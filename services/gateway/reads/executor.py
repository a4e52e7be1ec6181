"""Runs plans with the read-only role.

All root fields of a document go in one statement: one round trip and one snapshot. If that fails, each runs alone, so
that one field's error (for example an invalid regular expression) does not affect the others.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID

import asyncpg
from graphql import GraphQLError

from libs.runtime import log
from libs.runtime.database import open_pool
from libs.runtime.failures import is_outage
from libs.runtime.trace import Tracing
from services.gateway.reads.caller import Caller
from services.gateway.reads.failures import LOST, is_of_one_field
from services.gateway.reads.plans import Bound, Plan, RowPlan, at_key
from services.gateway.reads.statement import VISIBLE_TENANTS, Matching, too_much
from services.gateway.shares import BusyError, Shares

_SETTINGS = {
    "application_name": "headwater-gateway-reads",
    # JSON shows timestamps in the session's zone; clients compare the texts.
    "timezone": "UTC",
    "intervalstyle": "postgres",
    # Compiling a statement to machine code costs more than these statements.
    "jit": "off",
    # A count over months may take one core, but must not take all cores from the writers; and starting parallel workers
    # costs more than most of these statements.
    "max_parallel_workers_per_gather": "0",
}
_STATEMENTS = 500  # prepared per connection; one per compiled document
_PATIENCE = 10.0  # seconds
_REGEX_TIMEOUT = 2.0  # seconds; a regular expression may take for ever on one row
_LIKE_TIMEOUT = 5.0  # seconds; a search of many logs takes some
_LARGE = 4 << 20  # bytes of an answer that is read again when there is room
_LONGEST_STATEMENT = 256 * 1024  # the driver's default of 15 KiB would leave dashboards unprepared


class Reader:
    """A pool on the reader role."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        statement_timeout: float = 10.0,
        answer_limit: int = 32 << 20,
        tracing: Tracing | None = None,
    ) -> None:
        """`statement_timeout` in seconds; `answer_limit` in bytes, of one request."""
        self._url = url
        self._pool_size = pool_size
        self._statement_timeout = statement_timeout
        self._tracing = tracing
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._log = log.get("gateway")
        self._answer_limit = answer_limit
        self._cancelled: set[int] = set()
        """Connections (by PostgreSQL's pid) with a statement cancelled since they were taken."""
        # Even when one tenant uses its maximum, others find a free connection.
        spare = pool_size // 4
        self._connections = Shares(
            "reads", pool_size, of_tenant=pool_size - spare, of_key=pool_size - spare - spare // 2,
            patience=_PATIENCE, what="their reads to end",
        )  # fmt: skip
        regex = Shares(
            "patterns", 2, of_tenant=1, of_key=1,
            patience=_PATIENCE, what="their reads with regular expressions to end",
        )  # fmt: skip
        # Each uses a core; half of the connections are left for other reads.
        searches = max(2, pool_size // 2)
        like = Shares(
            "searches", searches, of_tenant=searches // 2, of_key=searches // 2,
            patience=_PATIENCE, what="their reads with _like to end",
        )  # fmt: skip
        self._boxes = {
            Matching.REGEX: _Box(
                regex,
                _REGEX_TIMEOUT,
                "a regular expression",
                "filter more narrowly beside it, or use _like",
            ),
            Matching.LIKE: _Box(
                like, _LIKE_TIMEOUT, "_like or _ilike", "filter more narrowly beside it"
            ),
        }
        self._answers = Shares(
            "answers", 3 * answer_limit, of_tenant=2 * answer_limit, of_key=2 * answer_limit,
            patience=_PATIENCE, what="their large answers to be taken",
        )  # fmt: skip

    async def connect(self) -> None:
        """Open the pool; raises what asyncpg raises when PostgreSQL is not there."""
        self._pool = await open_pool(
            self._url,
            tracing=self._tracing,
            min_size=1,
            max_size=self._pool_size,
            statement_cache_size=_STATEMENTS,
            max_cacheable_statement_size=_LONGEST_STATEMENT,
            max_cached_statement_lifetime=0,
            # The server cancels a statement earlier; this is for a server that does not answer at all.
            command_timeout=self._statement_timeout + 5,
            server_settings=_SETTINGS
            | {"statement_timeout": str(int(self._statement_timeout * 1000))},
            reset=self._reset,
        )

    async def close(self) -> None:
        """Close the pool after what is in flight."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def execute(
        self,
        plan: Plan,
        tenant_id: UUID,
        *,
        visible_tenants: Sequence[UUID] = (),
        caller: Caller | None = None,
    ) -> dict[str, bytes | GraphQLError]:
        """The JSON of every root field that is ours, or its error.

        `visible_tenants` are the tenants that `tenant` lists, beside the caller's own: a caller with several must find
        them to choose one. Nothing else of them is shown, unless the caller may read `any_tenant` of them: then a field
        that names one (`where: {tenant_id: {_eq: ..}}`) returns its rows.

        The answers count for the `caller` until it releases them. Raises BusyError when no field could be read.
        """
        caller = caller or Caller((tenant_id, None))
        answers: dict[str, bytes | GraphQLError] = dict(plan.failed)
        if not plan.bound:
            return answers
        if len(plan.bound) > 1 and plan.is_whole and not any(bound.tenant for bound in plan.bound):
            asked = _Asked(
                plan.program.together,
                tenant_id,
                _shown([value for bound in plan.bound for value in bound.values], visible_tenants),
                plan.program.matching,
            )
            try:
                row = await self._row(asked, caller)
            except BusyError:
                raise
            except Exception as error:
                if not is_of_one_field(error):
                    return answers | {
                        bound.root.key: self._as_error(error, bound.root.key)
                        for bound in plan.bound
                    }
            else:
                return answers | {
                    bound.root.key: _answer(bound, text)
                    for bound, text in zip(plan.bound, row, strict=True)
                }
        if len(plan.bound) == 1:
            bound = plan.bound[0]
            answer = await self._alone(bound, tenant_id, visible_tenants, caller)
            if isinstance(answer, BusyError):
                raise answer
            return answers | {bound.root.key: answer}
        found = await asyncio.gather(
            *(self._field(bound, tenant_id, visible_tenants, caller) for bound in plan.bound)
        )
        return answers | {
            bound.root.key: answer for bound, answer in zip(plan.bound, found, strict=True)
        }

    async def row(
        self, plan: RowPlan, row_id: UUID | str, tenant_id: UUID, caller: Caller | None = None
    ) -> bytes | None:
        """The JSON of one row below a mutation's payload; raises GraphQLError."""
        asked = _Asked(plan.root.statement, tenant_id, plan.values(row_id), plan.root.matching)
        try:
            row = await self._row(asked, caller or Caller((tenant_id, None)))
        except GraphQLError:
            raise
        except Exception as error:
            raise self._as_error(error, "row") from error
        found: bytes | None = row[0]
        return found

    async def fetch(
        self,
        statement: str,
        tenant_id: UUID,
        values: Sequence[Any],
        caller: Caller,
        *,
        matching: Matching = Matching.NONE,
    ) -> Sequence[Any]:
        """The row of another module's statement, within the same shares and limits; without its last column.

        Its first parameter is the tenant, its last the most bytes of the answer; its last column is their number.
        Raises GraphQLError and BusyError.
        """
        try:
            return await self._row(_Asked(statement, tenant_id, values, matching), caller)
        except BusyError:
            raise
        except Exception as error:
            raise self._as_error(error, "fetch") from error

    async def _field(
        self, bound: Bound, tenant_id: UUID, visible_tenants: Sequence[UUID], caller: Caller
    ) -> bytes | GraphQLError:
        answer = await self._alone(bound, tenant_id, visible_tenants, caller)
        return self._as_error(answer, bound.root.key) if isinstance(answer, BusyError) else answer

    async def _alone(
        self, bound: Bound, tenant_id: UUID, visible_tenants: Sequence[UUID], caller: Caller
    ) -> bytes | GraphQLError | BusyError:
        asked = _Asked(
            bound.root.statement,
            bound.tenant or tenant_id,
            _shown(bound.values, visible_tenants),
            bound.root.matching,
        )
        try:
            row = await self._row(asked, caller)
        except BusyError as error:
            return error
        except Exception as error:
            return self._as_error(error, bound.root.key)
        return _answer(bound, row[0])

    async def _row(self, asked: "_Asked", caller: Caller) -> Sequence[Any]:
        """The answers of a statement, which is cancelled if its caller leaves."""
        with caller.while_there():
            if asked.matching is Matching.NONE:
                return await self._within_limits(asked, caller)
            async with self._boxes[asked.matching].slots.of(caller.owner):
                return await self._within_limits(asked, caller)

    async def _within_limits(self, asked: "_Asked", caller: Caller) -> Sequence[Any]:
        """A large answer is read again once there is room for it: its size is known only after the first attempt."""
        caller.check_seconds()
        async with self._connections.of(caller.owner):
            row, size = await self._fetch(asked, _LARGE, caller)
            if size <= _LARGE:
                self._check_size(size, caller)
                await caller.hold(self._answers, size)
                return row
        self._check_size(size, caller)
        await caller.hold(self._answers, size)
        async with self._connections.of(caller.owner):
            row, grown = await self._fetch(asked, self._answer_limit, caller)
        self._check_size(grown - size, caller)
        return row

    def _check_size(self, size: int, caller: Caller) -> None:
        if caller.answered + size > self._answer_limit:
            msg = (
                f"The answer to one request may have {self._answer_limit} bytes (HEADWATER_ANSWER_LIMIT); ask for fewer"
                " rows or fields, and page with limit and offset."
            )
            raise too_much(msg)

    async def _fetch(
        self, asked: "_Asked", limit: int, caller: Caller
    ) -> tuple[Sequence[Any], int]:
        """The answers and their length; they are None where that is over the limit."""
        if self._pool is None:
            msg = "the reader is not connected"
            raise asyncpg.InterfaceError(msg)
        began = perf_counter()
        try:
            try:
                row = await self._fetch_row(self._pool, asked, limit)
            except LOST:
                # The connection died while idle (PostgreSQL was restarted). A read may be repeated; the pool has
                # dropped that connection.
                row = await self._fetch_row(self._pool, asked, limit)
        except TimeoutError:
            if asked.matching is Matching.NONE:
                raise
            msg = self._boxes[asked.matching].sentence
            raise GraphQLError(msg, extensions={"code": "STATEMENT_TIMEOUT"}) from None
        finally:
            caller.seconds -= perf_counter() - began
        if row is None:
            msg = "a statement without FROM answered no row"
            raise RuntimeError(msg)
        *answers, size = row
        return answers, size

    async def _fetch_row(
        self, pool: "asyncpg.Pool[asyncpg.Record]", asked: "_Asked", limit: int
    ) -> asyncpg.Record | None:
        box = self._boxes.get(asked.matching)
        async with pool.acquire() as connection:
            try:
                return await connection.fetchrow(
                    asked.statement,
                    asked.tenant_id,
                    *asked.values,
                    limit,
                    timeout=None if box is None else box.seconds,
                )
            except (asyncio.CancelledError, TimeoutError):
                self._cancelled.add(connection.get_server_pid())
                raise

    async def _reset(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """A read leaves nothing behind, so a connection goes back to the pool without a round trip.

        But after a cancelled statement: PostgreSQL may get the cancellation late, and would cancel the next statement,
        of another caller.
        """
        pid = connection.get_server_pid()
        if pid in self._cancelled:
            self._cancelled.discard(pid)
            try:
                await connection.execute("SELECT 1")
            except asyncpg.QueryCanceledError:
                await connection.execute("SELECT 1")

    def _as_error(self, error: Exception, key: str) -> GraphQLError:
        """The error for the client: details about its own values, nothing about our internals."""
        if isinstance(error, GraphQLError):
            return at_key(error, key)
        if isinstance(error, BusyError):
            return at_key(GraphQLError(str(error), extensions={"code": "API_ERROR"}), key)
        if isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
            text = (
                f"The query took longer than {self._statement_timeout:g} s and was cancelled;"
                " filter more narrowly or ask for fewer rows."
            )
            return at_key(GraphQLError(text, extensions={"code": "STATEMENT_TIMEOUT"}), key)
        if isinstance(error, asyncpg.DataError):  # class 22, or refused by the driver
            return at_key(GraphQLError(str(error).split("\n", maxsplit=1)[0]), key)
        if isinstance(error, asyncpg.ProgramLimitExceededError):  # a limit of PostgreSQL's own
            text = f"The query is more than PostgreSQL takes at once: {error}; split it."
            return at_key(GraphQLError(text, extensions={"code": "LIMIT_EXCEEDED"}), key)
        if is_outage(error) or isinstance(error, LOST):
            self._log.warning("read_failed", reason=type(error).__name__, path=key)
            text = "Unable to connect to postgres; try again."
            return at_key(GraphQLError(text, extensions={"code": "API_ERROR"}), key)
        self._log.error("read_failed", reason=type(error).__name__, path=key, exc_info=error)
        text = "Unable to complete operation. An internal error occurred."
        return at_key(GraphQLError(text, extensions={"code": "INTERNAL_SERVER_ERROR"}), key)


@dataclass(slots=True)
class _Box:
    """Limits for statements with patterns: slots, and seconds for each."""

    slots: Shares
    seconds: float
    what: str
    advice: str

    @property
    def sentence(self) -> str:
        """The error for a statement that took longer."""
        return f"A query with {self.what} may take {self.seconds:g} s; {self.advice}."


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement with its values."""

    statement: str
    tenant_id: UUID
    values: Sequence[Any]
    matching: Matching


def _shown(values: Sequence[Any], visible_tenants: Sequence[UUID]) -> Sequence[Any]:
    return [visible_tenants if value is VISIBLE_TENANTS else value for value in values]


def _answer(bound: Bound, answer: bytes | None) -> bytes | GraphQLError:
    if answer is not None:
        return answer
    if bound.root.missing is not None:
        return at_key(
            GraphQLError(bound.root.missing, extensions={"code": "NOT_FOUND"}), bound.root.key
        )
    return b"null"
