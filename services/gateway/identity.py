"""Who is asking. On the embedded default there are no keys: whoever reaches the loopback port speaks for every tenant.

The tenant comes from `X-PREFECT-TENANT-ID` when it names one, else it is the first tenant by age.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from services.gateway.graphql.compat import header_uuid
from services.gateway.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The caller: the tenant it speaks for, the tenants it may see, and whether it may speak for others."""

    tenant_id: UUID
    visible_tenants: tuple[UUID, ...]
    any_tenant: bool
    user_id: UUID | None = None
    role: str = "tenant_admin"


class Tenants:
    """The tenants, cached: they change a few times in the life of an installation."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: tuple[UUID, ...] = ()

    async def all(self) -> tuple[UUID, ...]:
        """Every tenant, oldest first."""
        if not self._ids:
            self._ids = tuple(await self._store.tenant_ids())
        return self._ids

    async def exists(self, tenant_id: UUID) -> bool:
        """Whether there is such a tenant, looking again before saying no."""
        if tenant_id in await self.all():
            return True
        self.forget()
        return tenant_id in await self.all()

    def forget(self) -> None:
        """Read them anew at the next question."""
        self._ids = ()


class Gatekeeper:
    """Turns request headers into an identity or a refusal."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def identify(self, headers: Mapping[str, str]) -> Identity | Refused:
        """The caller. Refused(UNAUTHENTICATED) when the tenant header names no tenant of ours."""
        everyone = await self._tenants.all()
        if not everyone:
            self._tenants.forget()
        named = header_uuid(headers.get("x-prefect-tenant-id"))
        if named is None:
            tenant_id = everyone[0] if everyone else UUID(int=0)
        else:
            try:
                tenant_id = UUID(named)
            except ValueError:
                return _unknown_tenant(named)
            if not await self._tenants.exists(tenant_id):
                return _unknown_tenant(named)
            everyone = await self._tenants.all()
        return Identity(tenant_id=tenant_id, visible_tenants=everyone, any_tenant=True)


def _unknown_tenant(named: str) -> Refused:
    return Refused(
        code=Code.UNAUTHENTICATED,
        fields={"reason": f"UNAUTHENTICATED: there is no tenant {named[:64]}"},
    )
