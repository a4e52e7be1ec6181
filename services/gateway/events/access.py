"""Who may listen, to what, and for how long: the same for event streams and for sockets of subscriptions."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from starlette.types import Scope

from libs.contracts.base import Refused
from libs.runtime import log
from libs.runtime.failures import is_outage
from services.gateway import compat
from services.gateway.events.domain import Filter
from services.gateway.events.hub import Owner
from services.gateway.identity import Authenticator, Identity
from services.gateway.known_caller import known_caller
from services.gateway.permissions import EVENTS
from services.gateway.plain_answers import RefusalError
from services.gateway.roles import Rights
from services.gateway.shares import BusyError

Headers = Mapping[str, str]
Versions = Callable[[UUID, UUID], Awaitable[frozenset[UUID]]]
"""The ids of a flow's or group's versions in a tenant; none where it has no such flow."""
HasRun = Callable[[UUID, UUID], Awaitable[bool]]
"""Whether a tenant has a flow run."""

_Shown = tuple[tuple[str, str], ...]
_Who = tuple[_Shown, Owner, Rights]
_CREDENTIALS = ("authorization", "x-prefect-tenant-id")

_log = log.get("gateway")


class Listener(Protocol):
    """Whoever listens, and can be sent away."""

    def end(self, reason: str, text: str) -> None:
        """Say why, and let it go."""


class Access:
    """Knows callers, and looks again and again whether those who listen still may."""

    def __init__(
        self, authenticator: Authenticator, *, versions: Versions, has_run: HasRun
    ) -> None:
        self._authenticator = authenticator
        self._versions = versions
        self._has_run = has_run
        self._shown: dict[Listener, _Who] = {}

    async def identity(self, headers: Headers, scope: Scope) -> Identity:
        """Who asks; RefusalError for who may not."""
        identity = await known_caller(self._authenticator, headers, scope)
        if identity.renewing is not None:
            raise RefusalError(401, "UNAUTHENTICATED", "A refresh token opens no event stream.")
        return identity

    async def known(
        self, wanted: Filter, identity: Identity, *, flow: str = "flow", flow_run: str = "flow_run"
    ) -> Filter:
        """The filter with the flow's versions, and only of what the caller may read. RefusalError names the field, in
        the same words for ids of others and of nobody.
        """
        wanted = _readable(wanted, identity.rights)
        try:
            return await self._found(wanted, identity.tenant_id, flow, flow_run)
        except Exception as error:
            if not is_outage(error):
                raise
            text = "Ids cannot be looked up while PostgreSQL is away; try again soon."
            raise RefusalError(503, "API_ERROR", text) from error

    async def _found(
        self, wanted: Filter, tenant_id: UUID, flow_field: str, flow_run_field: str
    ) -> Filter:
        run, flow = wanted.flow_run, wanted.flow
        if run is not None and not await self._has_run(tenant_id, run):
            raise RefusalError(404, "NOT_FOUND", f"{flow_run_field}: there is no flow run {run}.")
        if flow is None:
            return wanted
        versions = await self._versions(tenant_id, flow)
        if not versions:
            text = f"{flow_field}: there is no flow or flow group {flow}."
            raise RefusalError(404, "NOT_FOUND", text)
        return replace(wanted, versions=versions)

    # those who listen

    def watch(self, listener: Listener, headers: Headers, identity: Identity) -> None:
        """Send it away when these headers would not open this tenant any more, or not as much of it."""
        shown = tuple((name, headers[name]) for name in _CREDENTIALS if name in headers)
        self._shown[listener] = (shown, identity.owner, identity.rights)

    def forget(self, listener: Listener) -> None:
        """It has left."""
        self._shown.pop(listener, None)

    async def check_keys(self) -> int:
        """End those whose callers would be refused now; how many. Each credential is looked at once."""
        groups: dict[_Who, list[Listener]] = {}
        for listener, who in self._shown.items():
            groups.setdefault(who, []).append(listener)
        ended = 0
        for (shown, owner, rights), listeners in groups.items():
            text = await self._refusal(dict(shown), owner, rights)
            if text is not None:
                for listener in listeners:
                    listener.end("unauthenticated", text)
                ended += len(listeners)
        return ended

    async def _refusal(self, headers: Headers, owner: Owner, rights: Rights) -> str | None:
        try:
            identity = await self._authenticator.identify(headers)
        except BusyError:
            return None
        except Exception as error:
            # No key can end while nobody can write that it has.
            if not is_outage(error):
                _log.error("stream_key_not_checked", error=str(error), exc_info=True)
            return None
        if isinstance(identity, Refused):
            return str(compat.error_of(identity).message)
        if identity.owner != owner:
            return "The tenant of this stream is no longer yours."
        if not rights.permissions <= identity.rights.permissions:
            return "You may do less than when this stream began; connect again."
        return None


def _readable(wanted: Filter, rights: Rights) -> Filter:
    """The filter without the kinds that the caller may not read; RefusalError where nothing is left of it."""
    readable = frozenset(kind for kind, read in EVENTS.items() if read in rights.permissions)
    refused = sorted(wanted.kinds - readable)
    if refused:
        text = f"kinds: {refused[0]} needs the permission {EVENTS[refused[0]]}, which your role does not have."
        raise RefusalError(403, "FORBIDDEN", text)
    if wanted.kinds or len(readable) == len(EVENTS):
        return wanted
    if not readable:
        raise RefusalError(403, "FORBIDDEN", "Your role may read nothing that events tell of.")
    return replace(wanted, kinds=readable)
