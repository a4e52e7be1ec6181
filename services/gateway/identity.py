"""Who is asking: an API key, or, where keys are off (the embedded default on loopback), whoever reaches the port.

With keys on, the tenant is the key's own; `X-PREFECT-TENANT-ID` may repeat it and nothing else. With keys off, the
header chooses among all tenants, and without it the oldest answers.

A key is looked up at most once a second: so long, at the most, does a revoked one still open the door, even if the
signal that tells of the revocation is lost.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.clock import Clock
from services.gateway.graphql.compat import header_uuid
from services.gateway.keys import Key, Role, bearer, fingerprint
from services.gateway.store import Store

TRUST = timedelta(seconds=1)
_REMEMBERED = 10_000  # keys, and guesses at keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The caller: its tenant and role; `any_tenant` where keys are off. `key` is None there too."""

    tenant_id: UUID
    any_tenant: bool
    role: Role = Role.TENANT_ADMIN
    user_id: UUID | None = None
    key: Key | None = None

    @property
    def actor(self) -> str:
        """The name for the audit trail."""
        return f"key:{self.key.name}:{self.key.id}" if self.key else "anonymous"


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


class OpenDoor:
    """Keys are off: every caller is an administrator of every tenant."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def identify(self, headers: Mapping[str, str]) -> Identity | Refused:
        """The tenant that the header names, else the oldest. Refused when the header names none of ours."""
        everyone = await self._tenants.all()
        named = header_uuid(headers.get("x-prefect-tenant-id"))
        if named is None:
            # No tenant at all: the nil id owns nothing, so reads are empty and writes are refused.
            return Identity(tenant_id=everyone[0] if everyone else UUID(int=0), any_tenant=True)
        try:
            tenant_id = UUID(named)
        except ValueError:
            return _refused(f"there is no tenant {named[:64]}")
        if not await self._tenants.exists(tenant_id):
            return _refused(f"there is no tenant {named[:64]}")
        return Identity(tenant_id=tenant_id, any_tenant=True)


class KeyedDoor:
    """Keys are on: no key, no entry."""

    def __init__(
        self,
        store: Store,
        *,
        pepper: bytes,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._pepper = pepper
        self._clock = clock
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, tuple[float, Key | None]] = OrderedDict()

    async def identify(self, headers: Mapping[str, str]) -> Identity | Refused:
        """The key's tenant and role. Refused(UNAUTHENTICATED) in words that every client takes for that."""
        try:
            given = bearer(headers.get("authorization"))
        except ValueError as error:
            return _refused(str(error))
        if given is None:
            return _refused("an API key is required: Authorization: Bearer <key>")
        key = await self._key(fingerprint(given, self._pepper))
        if key is None or key.is_expired(self._clock()):
            return _refused("the API key is unknown, revoked or expired")
        named = header_uuid(headers.get("x-prefect-tenant-id"))
        if named is not None and named.lower() != str(key.tenant_id):
            return _refused("the API key does not belong to the tenant of X-PREFECT-TENANT-ID")
        return Identity(
            tenant_id=key.tenant_id,
            any_tenant=False,
            role=key.role,
            user_id=key.user_id,
            key=key,
        )

    async def _key(self, hashed: bytes) -> Key | None:
        now = self._monotonic()
        cached = self._known.get(hashed)
        if cached is not None and now - cached[0] < TRUST.total_seconds():
            return cached[1]
        key = await self._store.key_by_hash(hashed)
        self._known[hashed] = (now, key)
        self._known.move_to_end(hashed)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return key

    def forget(self, key_id: UUID) -> None:
        """A key was revoked: look it up anew at its next use."""
        for hashed, (_, key) in list(self._known.items()):
            if key is not None and key.id == key_id:
                del self._known[hashed]


Door = OpenDoor | KeyedDoor


def _refused(reason: str) -> Refused:
    return Refused(code=Code.UNAUTHENTICATED, fields={"reason": f"UNAUTHENTICATED: {reason}"})
