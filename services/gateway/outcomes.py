"""What became of requests, for the metrics: errors of GraphQL have HTTP status 200, so a status alone says nothing."""

from collections.abc import Callable, Sequence
from functools import cache

from graphql import GraphQLError

from libs.runtime import metrics
from services.gateway import compat

DONE, REFUSED, BUSY, INTERNAL = "done", "refused", "BUSY", "INTERNAL_SERVER_ERROR"
_OWN = frozenset((compat.API_ERROR, compat.UNAUTHENTICATED, compat.FORBIDDEN, INTERNAL))


def outcome_of(errors: Sequence[GraphQLError]) -> str:
    """The outcome of an operation with these errors: the first code that has an outcome of its own."""
    codes = ((error.extensions or {}).get("code") for error in errors)
    return next((str(code) for code in codes if code in _OWN), REFUSED)


@cache
def timer(kind: str, status: int) -> Callable[[float], None]:
    """Takes the seconds of a request. Found once: looking a label up costs more than the observation."""
    return metrics.observer(metrics.HTTP_SECONDS.labels(kind, str(status)))


@cache
def count(outcome: str) -> Callable[[], None]:
    """Counts one operation."""
    return metrics.OPERATIONS.labels(outcome).inc
