"""Classifies failures of a statement: of its connection, or of one field."""

import asyncpg
from graphql import GraphQLError

from libs.runtime.failures import is_outage

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # The errors of a connection that was cut while idle, at its next use.
    asyncpg.InternalClientError,
    ConnectionError,
)


def is_of_one_field(error: Exception) -> bool:
    """Whether running the fields one by one may answer some of them.

    Not after a time-out: the client would leave before the second one.
    """
    if isinstance(error, GraphQLError):  # a limit of the request
        return False
    return not (is_outage(error) or isinstance(error, (*LOST, asyncpg.QueryCanceledError)))
