"""Which exceptions are an outage (of PostgreSQL or NATS) and which are a fault of ours."""

from uuid import UUID

import asyncpg
import nats.errors
import nats.js.errors

from libs.contracts.base import Refused
from libs.contracts.errors import Code


class BusyError(Exception):
    """The queue is longer than can be served in time; a retry may find room."""


_OUTAGES: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke in mid-command: the outcome is unknown
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientResourcesError,  # the disk is full, memory is short
    asyncpg.PostgresIOError,
    asyncpg.ReadOnlySQLTransactionError,  # a server that was made a standby, or that its provider has closed for writes
    BusyError,
    nats.errors.Error,
    nats.js.errors.Error,
)


def is_outage(error: BaseException) -> bool:
    """True when the same command may succeed later."""
    return isinstance(error, _OUTAGES)


def refusal_of(error: BaseException, *, service: str, error_id: UUID) -> Refused:
    """The answer for an exception: never its text, always what to look for in the log."""
    fields = {"service": service, "error_id": str(error_id)}
    if not is_outage(error):
        return Refused(code=Code.INTERNAL, fields=fields)
    if isinstance(error, asyncpg.DiskFullError):
        # "Not reachable" would send the person on call to the network.
        fields["why"] = "cannot write, because the disk of PostgreSQL is full"
    return Refused(code=Code.UNAVAILABLE, fields=fields)
