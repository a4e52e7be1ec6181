"""Runs plans as the role that may only read.

All root fields of a document go in one statement: one round trip and one snapshot. If that fails, each is asked alone,
so that one field's error (a regular expression that PostgreSQL does not take) does not take the others.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from graphql import GraphQLError

from libs.runtime import log
from libs.runtime.database import open_pool
from libs.runtime.failures import is_outage
from libs.runtime.trace import Tracing
from services.gateway.reads.plans import Bound, Plan, RowPlan, at_key
from services.gateway.reads.statement import VISIBLE_TENANTS

_SETTINGS = {
    "application_name": "headwater-gateway-reads",
    # JSON shows moments in the session's zone; clients compare the texts.
    "timezone": "UTC",
    "intervalstyle": "postgres",
    # Compiling a statement to machine code costs more than these statements.
    "jit": "off",
    # A count over months may take one core, not every core from the writers beside it; and starting helpers costs more
    # than most of these statements.
    "max_parallel_workers_per_gather": "0",
}
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,  # what a connection cut in idleness raises at its next use
    ConnectionError,
)
_STATEMENTS = 500  # prepared per connection; one per compiled document
_LONGEST_STATEMENT = 256 * 1024  # the driver's default of 15 KiB would leave dashboards unprepared


class Reader:
    """A pool on the reader role."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        statement_timeout: float = 10.0,
        tracing: Tracing | None = None,
    ) -> None:
        self._url = url
        self._pool_size = pool_size
        self._statement_timeout = statement_timeout
        self._tracing = tracing
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._log = log.get("gateway")

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
            # The server ends a statement first; this is for a server that does not answer at all.
            command_timeout=self._statement_timeout + 5,
            server_settings=_SETTINGS
            | {"statement_timeout": str(int(self._statement_timeout * 1000))},
            reset=_nothing_to_reset,
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
        any_tenant: bool = False,
    ) -> dict[str, bytes | GraphQLError]:
        """The JSON of every root field that is ours, or its error.

        `visible_tenants` are the tenants that `tenant` lists, beside the caller's own: whoever may speak for several
        must find them to choose one. Nothing else of theirs is shown, unless the caller may read `any_tenant` of them:
        then a field that asks for one (`where: {tenant_id: {_eq: ..}}`) is answered with its rows.
        """
        answers: dict[str, bytes | GraphQLError] = dict(plan.failed)
        if not plan.bound:
            return answers
        if len(plan.bound) > 1 and plan.is_whole and not any(bound.tenant for bound in plan.bound):
            values = [value for bound in plan.bound for value in bound.values]
            try:
                row = await self._row(plan.program.together, tenant_id, values, visible_tenants)
            except Exception as error:
                if not _is_of_one_field(error):
                    return answers | {
                        bound.root.key: self._told(error, bound.root.key) for bound in plan.bound
                    }
            else:
                return answers | {
                    bound.root.key: _answer(bound, text)
                    for bound, text in zip(plan.bound, row, strict=True)
                }
        found = await asyncio.gather(
            *(self._alone(bound, tenant_id, visible_tenants) for bound in plan.bound)
        )
        return answers | {
            bound.root.key: answer for bound, answer in zip(plan.bound, found, strict=True)
        }

    async def row(self, plan: RowPlan, row_id: UUID | str, tenant_id: UUID) -> bytes | None:
        """The JSON of one row below a mutation's payload; raises GraphQLError."""
        try:
            row = await self._row(f"SELECT {plan.root.sql}", tenant_id, plan.values(row_id))
        except GraphQLError:
            raise
        except Exception as error:
            raise self._told(error, "row") from error
        text = row[0]
        return None if text is None else text.encode()

    async def _alone(
        self, bound: Bound, tenant_id: UUID, visible_tenants: Sequence[UUID]
    ) -> bytes | GraphQLError:
        try:
            row = await self._row(
                bound.sql, bound.tenant or tenant_id, bound.values, visible_tenants
            )
        except Exception as error:
            return self._told(error, bound.root.key)
        return _answer(bound, row[0])

    async def _row(
        self,
        sql: str,
        tenant_id: UUID,
        values: Sequence[Any],
        visible_tenants: Sequence[UUID] = (),
    ) -> asyncpg.Record:
        if self._pool is None:
            msg = "the reader is not connected"
            raise asyncpg.InterfaceError(msg)
        values = [visible_tenants if value is VISIBLE_TENANTS else value for value in values]
        try:
            row = await self._pool.fetchrow(sql, tenant_id, *values)
        except _LOST:
            # The connection died while nobody looked (PostgreSQL was restarted). A read may be asked twice; the pool
            # has thrown that connection away.
            row = await self._pool.fetchrow(sql, tenant_id, *values)
        if row is None:
            msg = "a statement without FROM answered no row"
            raise RuntimeError(msg)
        return row

    def _told(self, error: Exception, key: str) -> GraphQLError:
        """What a client is told: the truth about its own values, nothing about ours."""
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
        if is_outage(error) or isinstance(error, _LOST):
            self._log.warning("read_failed", reason=type(error).__name__, path=key)
            text = "Unable to connect to postgres; try again."
            return at_key(GraphQLError(text, extensions={"code": "API_ERROR"}), key)
        self._log.error("read_failed", reason=type(error).__name__, path=key, exc_info=error)
        text = "Unable to complete operation. An internal error occurred."
        return at_key(GraphQLError(text, extensions={"code": "INTERNAL_SERVER_ERROR"}), key)


def _answer(bound: Bound, text: str | None) -> bytes | GraphQLError:
    if text is not None:
        return text.encode()
    if bound.root.missing is not None:
        return at_key(
            GraphQLError(bound.root.missing, extensions={"code": "NOT_FOUND"}), bound.root.key
        )
    return b"null"


def _is_of_one_field(error: Exception) -> bool:
    """Whether asking the fields one by one may answer some of them.

    Not after a time-out: the client would have gone before the second one.
    """
    return not (is_outage(error) or isinstance(error, _LOST))


async def _nothing_to_reset(_connection: object) -> None:
    """A read leaves nothing behind, so a connection goes back to the pool without a round trip."""
