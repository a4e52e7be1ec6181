"""Which failures of a statement are of its connection, and which of one field."""

import asyncpg
from graphql import GraphQLError

from libs.runtime.failures import is_outage

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # What a connection that was cut in idleness raises at its next use.
    asyncpg.InternalClientError,
    ConnectionError,
)


def is_of_one_field(error: Exception) -> bool:
    """Whether asking the fields one by one may answer some of them.

    Not after a time-out: the client would have gone before the second one.
    """
    if isinstance(error, GraphQLError):  # a limit of the request
        return False
    return not (is_outage(error) or isinstance(error, (*LOST, asyncpg.QueryCanceledError)))
