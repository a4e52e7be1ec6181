"""The authenticators: by API key, or, when keys are off (the embedded default on loopback), without one.

With keys on, the tenant is the key's own; `X-PREFECT-TENANT-ID` may repeat it and nothing else. With keys off, the
header chooses among all tenants, and without it the oldest answers.

A key is looked up at most once a second: so a revoked one works at most this long, also if the signal of the revocation
is lost. A token (tokens.py) opens the one tenant that it names, and only as long as the key that it came from would.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

from starlette.types import Scope

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.runtime.clock import Clock
from libs.runtime.http_protocol import is_of
from services.gateway.compat import header_uuid
from services.gateway.keys import Key, bearer, fingerprint
from services.gateway.names import ANYBODY, one_line
from services.gateway.permissions import SERVES_RUNS
from services.gateway.roles import RIGHTS, Rights, Role
from services.gateway.shares import Shares
from services.gateway.single_flight import SingleFlight
from services.gateway.store import Store
from services.gateway.tokens import Purpose, Seal, Token

T = TypeVar("T")


class OfSession(NamedTuple):
    """What a browser shows: the key that it logged in with, and the serial number of its session."""

    key_id: UUID
    serial: bytes


KnownBy = bytes | UUID | OfSession
"""A key's keyed hash, its id, or a session of it."""

TRUST = timedelta(seconds=1)
_REMEMBERED = 10_000  # cached keys, and as many unknown ones
_LOOKUPS = 4  # of keys not known before, at once and in all; one of an address
# Seconds that a wrong guess keeps its slot: 50 a second of an address, 200 in all.
_GUESS_COSTS = 0.02
_LOOK_AGAIN = 0.05  # seconds between two look-ups of unknown tenants
_PATIENCE = 2.0  # seconds that an unknown key waits for its look-up

NOWHERE = UUID(int=0)
"""The tenant of callers who have none. It owns nothing, so reads are empty and writes are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The caller: its tenant and rights; `any_tenant` where keys are off. `key` is None there too.

    `may_enter` are further tenants that the caller may choose. `renewing` is the refresh token of a caller who showed
    one: it is good for `refresh_token` and for nothing else. `in_session`: a browser shows a session's cookie.
    """

    tenant_id: UUID
    any_tenant: bool
    rights: Rights = RIGHTS[Role.TENANT_ADMIN]
    user_id: UUID
    key: Key | None = None
    may_enter: tuple[UUID, ...] = ()
    renewing: Token | None = None
    in_session: bool = False

    @property
    def owner(self) -> tuple[UUID, UUID | None]:
        """Whose share is used: the tenant's, and of it the key's."""
        return self.tenant_id, None if self.key is None else self.key.id

    @property
    def actor(self) -> str:
        """The name for the audit trail. Of a guest's key that is no name: the home tenant gave it, and keeps it."""
        if self.key is None:
            return "anonymous"
        if self.key.tenant_id != self.tenant_id:
            return f"guest:{self.user_id}:{self.key.id}"
        return f"key:{one_line(self.key.name)}:{self.key.id}"


class Tenants:
    """The tenants, read once a second: one that another gateway deleted is gone as soon as a revoked key is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids: tuple[UUID, ...] = ()
        self._read = 0.0
        # How often. What was read before the last time is not kept.
        self._forgotten = 0
        self._next: asyncio.Task[tuple[UUID, ...]] | None = None
        self._looks: SingleFlight[None, tuple[UUID, ...]] = SingleFlight()

    async def all(self) -> tuple[UUID, ...]:
        """Every tenant, oldest first."""
        now = asyncio.get_running_loop().time()
        if not self._ids or now - self._read >= TRUST.total_seconds():
            return await self._looks.ask(None, self._look)
        return self._ids

    async def exists(self, tenant_id: UUID) -> bool:
        """Whether there is such a tenant, looking again before saying no: another gateway may have made it.

        Who asks for tenants that there are not, however many, has one look for all of them, 20 times a second.
        """
        if tenant_id in await self.all():
            return True
        if self._next is None:
            self._next = asyncio.ensure_future(self._look_again())
        return tenant_id in await asyncio.shield(self._next)

    async def _look_again(self) -> tuple[UUID, ...]:
        """For all who ask until it begins."""
        now = asyncio.get_running_loop().time
        try:
            await asyncio.sleep(max(0.0, self._read + _LOOK_AGAIN - now()))
        finally:
            self._next = None
        return await self._look()

    async def _look(self) -> tuple[UUID, ...]:
        began, forgotten = asyncio.get_running_loop().time(), self._forgotten
        ids = tuple(await self._store.tenant_ids())
        if forgotten == self._forgotten:
            self._ids, self._read = ids, began
        return ids

    def forget(self) -> None:
        """Read them anew at the next question."""
        self._ids = ()
        self._forgotten += 1
        self._looks.forget()


class OpenAuthenticator:
    """Keys are off: every caller is an administrator of every tenant."""

    def __init__(self, tenants: Tenants, *, seal: Seal, clock: Clock) -> None:
        self._tenants = tenants
        self._seal = seal
        self._clock = clock

    async def identify(self, headers: Mapping[str, str], address: str = "") -> Identity | Refused:
        """The tenant of an access token, else that which the header names, else the oldest.

        Refused when the header names none of ours. Anything but a token of ours in `Authorization` is not looked at.
        """
        token = self._token(headers)
        if token is not None:
            if token.is_expired(self._clock()) or not await self._tenants.exists(token.tenant_id):
                return _refused("the token has expired, or its tenant is gone")
            return _holder_of(token, rights=RIGHTS[Role.TENANT_ADMIN])
        everyone = await self._tenants.all()
        named = headers.get("x-prefect-tenant-id")
        named = None if named is None else header_uuid(named)
        if named is None:
            return Identity(
                tenant_id=everyone[0] if everyone else NOWHERE, any_tenant=True, user_id=ANYBODY
            )
        try:
            tenant_id = UUID(named)
        except ValueError:
            return _refused(f"there is no tenant {named[:64]}")
        if not await self._tenants.exists(tenant_id):
            return _refused(f"there is no tenant {named[:64]}")
        return Identity(tenant_id=tenant_id, any_tenant=True, user_id=ANYBODY)

    def _token(self, headers: Mapping[str, str]) -> Token | None:
        given = headers.get("authorization")
        if given is None:
            return None
        try:
            return self._seal.read(bearer(given) or "")
        except ValueError:
            return None


class KeyAuthenticator:
    """Keys are on: no key, no entry."""

    def __init__(
        self,
        store: Store,
        *,
        pepper: bytes,
        seal: Seal,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._pepper = pepper
        self._seal = seal
        self._clock = clock
        self._monotonic = monotonic
        self._known: OrderedDict[KnownBy, tuple[float, Key]] = OrderedDict()
        # Apart, so that no guess pushes out a key.
        self._unknown: OrderedDict[KnownBy, float] = OrderedDict()
        self._looks: SingleFlight[KnownBy, Key | None] = SingleFlight()
        # How often. What a look-up read before the last time is not kept: it may be of the key that ended.
        self._forgotten = 0
        self._lookups = Shares(
            "lookups", _LOOKUPS, of_tenant=1, of_key=1,
            patience=_PATIENCE, what="their keys to be looked up",
        )  # fmt: skip

    async def identify(self, headers: Mapping[str, str], address: str = "") -> Identity | Refused:
        """The tenant and rights of a key or token. Refused(UNAUTHENTICATED) in words that every client takes for that.

        BusyError when too many keys of this `address` that were never good wait to be looked up.
        """
        try:
            given = bearer(headers.get("authorization"))
        except ValueError as error:
            return _refused(str(error))
        if given is None:
            return _refused("an API key is required: Authorization: Bearer <key>")
        named = header_uuid(headers.get("x-prefect-tenant-id"))
        token = self._seal.read(given)
        if token is not None:
            return await self._bearer_of(token, named, now=self._clock())
        key = await self._key(fingerprint(given, self._pepper), address)
        if key is None or key.is_expired(self._clock()):
            return _refused("the API key is unknown, revoked or expired")
        if named is not None and named.lower() != str(key.tenant_id):
            return _refused("the API key does not belong to the tenant of X-PREFECT-TENANT-ID")
        return Identity(
            tenant_id=key.tenant_id,
            any_tenant=False,
            rights=key.rights,
            user_id=key.user_id,
            key=key,
            may_enter=tuple(key.memberships),
        )

    async def agent(self, given: str) -> Key | None:
        """The key of an agent that logs in to NATS; None when it is none, or may not serve runs.

        BusyError when too many that were never good wait to be looked up.
        """
        key = await self._key(fingerprint(given, self._pepper), "nats")
        if key is None or key.is_expired(self._clock()) or not key.rights.may(SERVES_RUNS):
            return None
        return key

    async def _bearer_of(
        self, token: Token, named: str | None, *, now: datetime
    ) -> Identity | Refused:
        """The caller who shows a token: its key must still be good, and its holder still belong to the tenant."""
        if token.is_expired(now):
            return _refused("the token has expired")
        # Nobody can guess a token: it is sealed.
        key = await self._key(_known_by(token), "")
        if key is None or key.is_expired(now):
            return _refused(_ENDED[token.purpose is Purpose.SESSION])
        rights = key.rights_in(token.tenant_id)
        if rights is None:
            return _refused("the holder of this token no longer belongs to its tenant")
        if named is not None and named.lower() != str(token.tenant_id):
            return _refused("the token does not belong to the tenant of X-PREFECT-TENANT-ID")
        return _holder_of(token, rights=rights, key=key)

    async def _key(self, known_by: KnownBy, address: str) -> Key | None:
        """The key of this keyed hash, id or session."""
        now = self._monotonic()
        cached = self._known.get(known_by)
        if cached is not None:
            if now - cached[0] < TRUST.total_seconds():
                return cached[1]
            return await self._looks.ask(known_by, lambda: self._looked_up(known_by))
        if self._is_unknown(known_by):
            return None
        if not isinstance(known_by, bytes):
            return await self._looked_up(known_by)
        share = self._lookups.of((address, None))
        await share.take()
        key, asks = None, False
        try:
            # While this one waited another may have asked for the same.
            if not self._is_unknown(known_by):
                asks = True
                key = await self._looked_up(known_by)
        finally:
            if asks and key is None:
                loop = asyncio.get_running_loop()
                loop.call_later(_GUESS_COSTS, share.give_back)
            else:
                share.give_back()
        return key

    def _is_unknown(self, known_by: KnownBy) -> bool:
        """Whether there was no such key a moment ago."""
        asked = self._unknown.get(known_by)
        return asked is not None and self._monotonic() - asked < TRUST.total_seconds()

    async def _looked_up(self, known_by: KnownBy) -> Key | None:
        now, forgotten = self._monotonic(), self._forgotten
        match known_by:
            case OfSession():
                key = await self._store.key_of_session(known_by.key_id, known_by.serial)
            case UUID():
                key = await self._store.key_by_id(known_by)
            case bytes():
                key = await self._store.key_by_hash(known_by)
        if key is None:
            self._known.pop(known_by, None)
            _remember(self._unknown, known_by, now)
        else:
            self._unknown.pop(known_by, None)
            if forgotten == self._forgotten:
                _remember(self._known, known_by, (now, key))
        return key

    def forget(self, key_id: UUID) -> None:
        """A key was revoked, or a session of it ended: look it up anew at its next use.

        Of look-ups under way nobody knows yet whose key they find, so none of their answers is kept.
        """
        self._forgotten += 1
        self._looks.forget()
        for known_by, (_, key) in list(self._known.items()):
            if key.id == key_id:
                del self._known[known_by]


Authenticator = OpenAuthenticator | KeyAuthenticator


_ENDED = {
    False: "the API key of this token is revoked or expired",
    True: "this session has ended: it was logged out, or its API key is revoked or expired",
}
"""Why a token is refused; by whether it is a browser's session."""


def _known_by(token: Token) -> KnownBy:
    if token.purpose is Purpose.SESSION:
        return OfSession(token.key_id, token.serial)
    return token.key_id


async def identified(
    authenticator: Authenticator, headers: Mapping[str, str], scope: Scope
) -> Identity | Refused:
    """Who sends this request; its connection counts as that tenant's from now on. Raises what `identify` does."""
    client = scope.get("client")
    identity = await authenticator.identify(headers, client[0] if client else "")
    if isinstance(identity, Identity):
        is_of(scope, identity.tenant_id)
    return identity


def _remember(kept: OrderedDict[KnownBy, T], known_by: KnownBy, value: T) -> None:
    kept[known_by] = value
    kept.move_to_end(known_by)
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)


def _holder_of(token: Token, *, rights: Rights, key: Key | None = None) -> Identity:
    """Who shows a token that is good. A refresh token opens no tenant, only `refresh_token`."""
    renews = token.purpose is Purpose.REFRESH
    return Identity(
        tenant_id=NOWHERE if renews else token.tenant_id,
        any_tenant=False,
        rights=RIGHTS[Role.READ_ONLY] if renews else rights,
        user_id=key.user_id if key else ANYBODY,
        key=key,
        renewing=token if renews else None,
        in_session=token.purpose is Purpose.SESSION,
    )


def _refused(reason: str) -> Refused:
    return Refused(code=Code.UNAUTHENTICATED, fields={"reason": reason})
