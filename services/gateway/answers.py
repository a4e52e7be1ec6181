"""The answers to clients: response bodies, and the visible text of errors.

An unexpected error never shows its text: the client gets an id, and the log has the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphql import GraphQLError

from libs.runtime import exact_json, log, reported
from libs.runtime.failures import is_outage
from libs.runtime.ids import NewId
from services.gateway import compat
from services.gateway.discreet import without_values
from services.gateway.outcomes import BUSY, DONE, INTERNAL, outcome_of
from services.gateway.shares import BusyError

LONGEST_SENTENCE = 1_000  # characters of an error's message


@dataclass(frozen=True, slots=True)
class Answer:
    """A response body and its HTTP status."""

    body: bytes
    status: int = 200
    is_busy: bool = False
    """Whether it only says to ask again."""
    outcome: str = DONE
    """For the metrics: its errors have HTTP status 200, as clients expect it."""

    def without_values(self, query: str) -> "Answer":
        """The answer without secrets, for a document with a secret."""
        if not self.body.startswith(b'{"errors"'):
            return self
        body = without_values(query, self.body)
        return self if body is self.body else replace(self, body=body)


class Answers:
    """Makes answers from data and errors. Unexpected errors get ids."""

    def __init__(self, ids: NewId) -> None:
        self._ids = ids
        self._log = log.get("gateway")

    def done(self, data: Any, errors: Sequence[GraphQLError] | None = None) -> Answer:
        """The answer of an execution; unexpected errors are masked."""
        if not errors:
            return Answer(exact_json.dumps({"data": data}, default=str))
        shown = [self.masked(error) for error in errors]
        # Where a field has a value, something was done, which must not be asked for again.
        is_nothing = data is None or not any(value is not None for value in data.values())
        is_busy = all(isinstance(_cause(e), BusyError) for e in errors)
        return Answer(
            _body(data, shown),
            is_busy=is_nothing and is_busy,
            outcome=BUSY if is_busy else outcome_of(shown),
        )

    def refused(self, errors: Sequence[GraphQLError], *, status: int = 400) -> Answer:
        """The answer without an execution: the document or its variables are invalid."""
        body = _body(None, errors, with_data=False)
        return Answer(body, status=status, outcome=outcome_of(errors))

    def failed(self, error: Exception) -> Answer:
        """The error for an unexpected exception: API_ERROR for an outage, else an id that is in the log too."""
        return self.done(None, [GraphQLError(str(error), original_error=error)])

    def busy(self, error: BusyError) -> Answer:
        """The error for a client that used up its share, in the form on which clients retry."""
        text = GraphQLError(str(error), extensions={"code": compat.API_ERROR})
        return Answer(_body(None, [text]), is_busy=True, outcome=BUSY)

    def masked(self, error: GraphQLError) -> GraphQLError:
        """An expected error as it is; an unexpected one without its text, with an id that is in the log too."""
        inner = error.original_error
        while isinstance(inner, GraphQLError):
            if inner.extensions and not error.extensions:
                error.extensions = inner.extensions
            inner = inner.original_error
        cause = _cause(error)
        if cause is None:
            return error
        if isinstance(cause, BusyError):
            extensions = {"code": compat.API_ERROR}
            return GraphQLError(
                str(cause), nodes=error.nodes, path=error.path, extensions=extensions
            )
        error_id = str(self._ids())
        outage = is_outage(cause)
        self._log.error(
            "resolver_failed", error_id=error_id, path=error.path, error=str(cause),
            exc_info=None if outage else cause,
        )  # fmt: skip
        text = (
            "Unable to complete operation. An internal API error occurred; try again."
            if outage
            else f"Unable to complete operation. An internal error occurred: {error_id}."
        )
        code = compat.API_ERROR if outage else INTERNAL
        return GraphQLError(
            text,
            nodes=error.nodes,
            path=error.path,
            extensions={"code": code, "error_id": error_id},
        )


def _cause(error: GraphQLError) -> BaseException | None:
    """The exception of ours below GraphQL's own."""
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _shown(error: GraphQLError) -> Any:
    """The error as clients read it. Long quoted values are cut."""
    formatted = error.formatted
    if len(formatted["message"]) > LONGEST_SENTENCE:
        formatted["message"] = reported.cut_text(formatted["message"], LONGEST_SENTENCE)
    return formatted


def _body(data: Any, errors: Sequence[GraphQLError], *, with_data: bool = True) -> bytes:
    body: dict[str, Any] = {}
    if errors:
        body["errors"] = [_shown(error) for error in errors]
    if with_data:
        body["data"] = data
    return exact_json.dumps(body, default=str)
