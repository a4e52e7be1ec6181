"""Answers nats-server about agents that log in to it with an API key (`agent_login` has the protocol)."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from libs.runtime.clock import Clock
from libs.runtime.ids import NewId
from services.gateway.agent_login import Issuer, auth_request_of
from services.gateway.identity import Authenticator, KeyAuthenticator
from services.gateway.settings import GatewaySettings
from services.gateway.shares import BusyError


class AgentLogins:
    """Looks a key up, and says for how long its tenant's agent may stay.

    There is no `authenticator` until the port is open.
    """

    def __init__(
        self,
        issuer: Issuer,
        authenticator: Callable[[], Authenticator | None],
        *,
        lifetime: timedelta,
        clock: Clock,
        ids: NewId,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._issuer = issuer
        self._authenticator = authenticator
        self._lifetime = lifetime
        self._clock = clock
        self._ids = ids
        self._log = log

    async def answer(self, request: bytes) -> bytes | None:
        """The answer; None for no answer, so that the agent tries again."""
        now = self._clock()
        try:
            asked = auth_request_of(request)
        except ValueError as error:
            self._log.warning("nats_login_unreadable", error=str(error))
            return None
        authenticator = self._authenticator()
        # Before the port is open keys cannot be checked.
        if not isinstance(authenticator, KeyAuthenticator):
            return None
        try:
            key = await authenticator.agent(asked.key)
        except BusyError:
            # Its key may be valid.
            return None
        if key is None:
            self._log.info("agent_login_refused", agent=asked.name)
            reason = "the API key is unknown, revoked, expired or not for agents"
            return self._issuer.refuse(asked, reason, jti=self._ids(), now=now)
        until = now + self._lifetime
        if key.expires_at is not None:
            until = min(until, key.expires_at)
        return self._issuer.admit(asked, key.tenant_id, jti=self._ids(), now=now, until=until)


def agent_logins(
    settings: GatewaySettings,
    authenticator: Callable[[], Authenticator | None],
    *,
    clock: Clock,
    ids: NewId,
    log: structlog.typing.FilteringBoundLogger,
) -> AgentLogins | None:
    """What answers nats-server; None if keys are off or nats-server knows its agents by itself."""
    if not settings.keys_required or settings.nats_issuer_seed is None:
        return None
    return AgentLogins(
        Issuer(bytes.fromhex(settings.nats_issuer_seed.get_secret_value())),
        authenticator,
        lifetime=settings.nats_login_lifetime,
        clock=clock,
        ids=ids,
        log=log,
    )
