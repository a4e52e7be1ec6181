"""Errors of requests that carry secrets, without the secrets.

Invalid documents and variables are refused with graphql-core's texts, which show the invalid value: `Expected ... to
include required field 'name', found: {value: "hunter2"}`. For a document with a secret these texts are replaced:
clients print errors, and logs keep them. Our own refusals never show values.
"""

import re

import orjson

_CARRIER = re.compile(
    r"\b(?:set_secret|setSecret|(?:create|update)_cloud_hook|create_action"
    r"|(?:refresh_token|refreshToken)(?=[\s,]*\())"
)
"""Mutations whose input is or has a secret, in either dialect; fields that show a refresh token have no arguments."""
_IN_CARRIERS = ("ecret", "efresh", "loud_hook", "te_action")
"""One of these is in each of them, and a search for it takes a hundredth of the time."""
_HARMLESS = re.compile(
    r"Cannot query field|Must provide operation name|Unknown operation named|A GET answers"
    r"|The document (?:has|is|holds) "
    r"|[\w.$\[\]]+ (?:is (?:NaN|-?Infinity)|holds half of|cannot hold the character|is nested deeper)"
)
"""Errors that show nothing of a given value except its path, and the position of an invalid character."""
_REASON = re.compile(
    r"JSON cannot represent the literal.*"
    r"(?P<why>: it (?:is not JSON text|holds a number that is larger than any|is nested deeper than \d+ levels))$",
    re.DOTALL,
)
"""Why a literal is not JSON, after the literal itself."""

_FIELD = re.compile(
    r"Variable '\$(?P<variable>\w+)' has invalid value at (?P<path>(?:\.\w+|\[\d+\])+): "
)
"""Which field of a variable does not fit: names of inputs, since what JSON has inside is not looked into."""


def without_values(query: str, body: bytes) -> bytes:
    """The answer without values repeated from a request that has a secret."""
    if not body.startswith(b'{"errors"'):
        return body
    may_carry = any(part in query for part in _IN_CARRIERS)
    carrier = _CARRIER.search(query) if may_carry else None
    if carrier is None:
        return body
    answer = orjson.loads(body)
    for error in answer["errors"]:
        if not _may_be_shown(error):
            reason = _REASON.search(error["message"])
            error["message"] = (
                f"The request for {carrier[0]} does not fit the schema{_location(error)}. What does not fit is not"
                " repeated here, as it may be the secret. Compare it with the input's type; JSON in the document"
                " itself must be a string of JSON text."
                + (f" JSON cannot represent the literal{reason['why']}." if reason else "")
            )
    return orjson.dumps(answer)


def _may_be_shown(error: dict[str, object]) -> bool:
    # Our own refusals have a code.
    return "extensions" in error or bool(_HARMLESS.match(str(error["message"])))


def _location(error: dict[str, object]) -> str:
    field = _FIELD.match(str(error["message"]))
    if field is not None:
        return f" at {field['variable']}{field['path']}"
    match error.get("locations"):
        case [{"line": int(line), "column": int(column)}, *_]:
            return f" at line {line}, column {column}"
        case _:
            return ""
