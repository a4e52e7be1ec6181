"""All services where everybody shows an API key: callers of the API, and agents that log in to NATS."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from deploy.provision import provision
from tests.support.certificates import Certificates
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.guarded_nats import GuardedNats, embedded_nats, guarded_nats
from tests.support.services import all_services

LOGIN_LIFETIME = timedelta(seconds=2)
"""After which an agent has to show its key to NATS again."""
_ADMIN = "hw_first-key-for-tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """The bus, and the API as the administrator of its one tenant sees it."""

    server: GuardedNats
    api: Gql
    tenant_id: UUID

    async def key(self, role: str = "agent") -> tuple[str, str]:
        """A new key of this role: its id and text."""
        made = await self.api(
            "mutation($i: create_api_key_input!) { create_api_key(input: $i) { id key } }",
            i={"name": role, "role": role},
        )
        return made["create_api_key"]["id"], made["create_api_key"]["key"]

    async def revoke(self, key_id: str) -> None:
        """Let nobody in by this key any more."""
        await self.api(
            "mutation($i: delete_api_key_input!) { delete_api_key(input: $i) { success } }",
            i={"key_id": key_id},
        )


@asynccontextmanager
async def secured(
    stack: Stack,
    *,
    tls: Certificates | None = None,
    with_operator: bool = False,
    embedded: bool = False,
) -> AsyncIterator[Secured]:
    """Such services on a nats-server of their own, which speaks TLS if it is given certificates."""
    ca = str(tls.ca) if tls else None
    async with AsyncExitStack() as exits:
        server = await exits.enter_async_context(
            embedded_nats(with_operator=with_operator)
            if embedded
            else guarded_nats(tls=tls, with_operator=with_operator)
        )
        await provision(server.url("provision"), tls_ca=ca)
        gateway = await exits.enter_async_context(
            all_services(
                stack,
                nats_url=server.url,
                nats_tls_ca=ca,
                auth="required",
                bootstrap_key=_ADMIN,
                nats_issuer_seed=server.issuer_seed,
                nats_login_lifetime=LOGIN_LIFETIME,
                nats_public_url=f"{'tls' if tls else 'nats'}://127.0.0.1:{server.port}",
            )
        )
        api = Gql(f"http://127.0.0.1:{gateway.port}", headers={"authorization": f"Bearer {_ADMIN}"})
        await exits.enter_async_context(api)
        tenant = UUID((await api("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"])
        yield Secured(server=server, api=api, tenant_id=tenant)
