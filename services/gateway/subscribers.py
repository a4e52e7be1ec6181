"""The gateway's subscriptions on NATS; HTTP is in `http` and `graphql`."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from faststream import Path
from nats.aio.msg import Msg

from libs.contracts import gateway, streams, subjects
from libs.contracts.alive import ServiceAlive, read_alive
from libs.contracts.base import Applied
from libs.runtime.bus import Benchmark, Router
from services.gateway.agent_logins import AgentLogins
from services.gateway.for_automations import ForAutomations
from services.gateway.identity import Authenticator, KeyAuthenticator
from services.gateway.push import Push


def router(
    service: str,
    authenticator: Callable[[], Authenticator | None],
    logins: AgentLogins | None,
    *,
    push: Push,
    hear: Callable[[str, ServiceAlive], None],
    for_automations: ForAutomations,
) -> Router:
    """`logins` is None if NATS has no auth callout. `hear` keeps what services say of themselves."""
    router = Router(service)
    router.publishes(streams.LOGS)

    @router.signal(subjects.SIG_KEY_CHANGED)
    async def on_key_changed(key_id: Annotated[UUID, Path()]) -> None:
        """Another gateway has revoked a key; a lost signal costs a second (`identity.TRUST`)."""
        authenticating = authenticator()
        if isinstance(authenticating, KeyAuthenticator):
            authenticating.forget(key_id)
            await push.check_keys()

    @router.lean_signal(subjects.SIG_CHANGED, Benchmark.STREAMS)
    async def on_changed(message: Msg) -> None:
        """The ledger has committed what no event tells: up to twenty times a second for each tenant at work."""
        push.signal(UUID(message.subject.rpartition(".")[2]), message.data)

    @router.signal(subjects.SIG_SERVICE_ALIVE)
    async def on_alive(service: Annotated[str, Path()], said: bytes) -> None:
        """Every service says every few seconds how it is; one that is silent is dead (`services.gateway.health`)."""
        hear(service, read_alive(said))

    @router.verb(gateway.OPEN_SECRETS)
    async def open_secrets(request: gateway.OpenSecrets) -> gateway.OpenedSecrets:
        return await for_automations.open_secrets(request)

    @router.verb(gateway.ADD_MESSAGE)
    async def add_message(request: gateway.AddMessage) -> Applied:
        return await for_automations.add_message(request)

    @router.verb(gateway.SWITCH_OFF_CLOUD_HOOK)
    async def switch_off_cloud_hook(request: gateway.SwitchOffCloudHook) -> Applied:
        return await for_automations.switch_off_cloud_hook(request)

    @router.verb(gateway.MAY_ACT)
    async def may_act(request: gateway.MayAct) -> gateway.MayActAnswer:
        return await for_automations.may_act(request)

    if logins is not None:

        @router.signal(subjects.AUTH_CALLOUT, shared=True)
        async def on_login(request: bytes) -> bytes | None:
            return await logins.answer(request)

    return router
