"""The caller of a route beside GraphQL, or the refusal of HTTP for who is not known."""

from collections.abc import Mapping

from starlette.types import Scope

from libs.contracts.base import Refused
from libs.runtime.failures import is_outage
from services.gateway import compat
from services.gateway.identity import Authenticator, Identity, identified
from services.gateway.plain_answers import RefusalError
from services.gateway.shares import BusyError


async def known_caller(
    authenticator: Authenticator, headers: Mapping[str, str], scope: Scope
) -> Identity:
    """Who asks. RefusalError: 401 for who may not, 429 for who must wait, 503 while nobody can be known."""
    try:
        identity = await identified(authenticator, headers, scope)
    except BusyError as error:
        raise RefusalError(429, "BUSY", str(error)) from None
    except Exception as error:
        if not is_outage(error):
            raise
        text = "Nobody can be known while PostgreSQL is away; try again soon."
        raise RefusalError(503, "API_ERROR", text) from error
    if isinstance(identity, Refused):
        raise RefusalError(401, "UNAUTHENTICATED", str(compat.error_of(identity).message))
    return identity
