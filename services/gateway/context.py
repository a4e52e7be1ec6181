"""What a resolver can reach: who is asking, and the typed way to ask a service."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.errors import Code
from libs.runtime import log
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock
from libs.runtime.failures import is_outage
from libs.runtime.ids import NewId
from services.gateway import compat
from services.gateway.budget import Budget
from services.gateway.bulk import Bulk
from services.gateway.downloads.routes import Downloads
from services.gateway.fair_queue import Owner
from services.gateway.health.board import Board
from services.gateway.identity import Authenticator, Identity, KeyAuthenticator, Tenants
from services.gateway.lease_checks import LeaseChecks
from services.gateway.log_copies import LogCopies
from services.gateway.names import ANYBODY, name_refusal
from services.gateway.off_loop import OffLoop
from services.gateway.permissions import Needed
from services.gateway.reads.caller import Caller
from services.gateway.refusals import Refusals
from services.gateway.rows import Rows
from services.gateway.settings import GatewaySettings
from services.gateway.shares import Account, Shares, lone_account
from services.gateway.store import Store
from services.gateway.tokens import Seal
from services.gateway.vault import Vault

Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)
T = TypeVar("T")


_log = log.get("gateway")


def _states() -> Shares:
    """States that are proposed many at once: so many before the ledger, beside single ones."""
    return Shares(
        "states", 400, of_tenant=100, of_key=100,
        patience=10.0, what="their states to be set",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all requests share."""

    authenticator: Authenticator
    pepper: bytes
    bus: Bus
    clock: Clock
    ids: NewId
    settings: GatewaySettings
    store: Store
    tenants: Tenants
    rows: Rows
    vault: Vault
    seal: Seal
    log_copies: LogCopies
    leases: LeaseChecks
    off_loop: OffLoop
    downloads: Downloads
    bulk: Bulk
    board: Board
    refusals: Refusals = field(default_factory=Refusals)
    states: Shares = field(default_factory=_states)

    async def forget_keys(self, key_ids: Iterable[UUID]) -> None:
        """Keys have ended, or sessions of them: this gateway looks them up anew, and a signal makes the others do the
        same."""
        for key_id in key_ids:
            if isinstance(self.authenticator, KeyAuthenticator):
                self.authenticator.forget(key_id)
            await self.bus.signal(subjects.SIG_KEY_CHANGED.at(key_id=key_id))


@dataclass(frozen=True, slots=True)
class Lease:
    """The run that the caller's process was started for, and the token it was started under."""

    flow_run_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One request: its identity and the headers that matter."""

    shared: Shared
    identity: Identity
    core_version: str | None = None
    agent_id: UUID | None = None
    lease: Lease | None = None
    budget: Budget = field(default_factory=Budget)
    caller: Caller | None = None
    account: Account = field(default_factory=lone_account)
    """What its key and tenant have under way."""

    @property
    def tenant_id(self) -> UUID:
        """The tenant that this request speaks for."""
        return self.identity.tenant_id

    def require_name(self, field: str, name: str) -> None:
        """Raise unless the name is one that people can read as what it is."""
        reason = name_refusal(field, name)
        if reason is not None:
            raise compat.error_of(Refused(code=Code.INVALID, fields={"reason": reason}))

    async def require_permission(self, needed: Needed, *, what: str) -> None:
        """Raise, and leave a line in the trail, unless the caller holds all of these; `what` is the query."""
        if not self.identity.rights.may(needed):
            await self.record_refusal(what)
            raise compat.error_of(Refused(code=Code.FORBIDDEN))

    @property
    def creator_id(self) -> UUID | None:
        """Whose rights what is made now has later, from whatever client it comes; None where nobody is known."""
        return None if self.identity.key is None else self.identity.user_id

    @property
    def actor_id(self) -> UUID | None:
        """The user who does by hand what is asked; None where nobody is known, and for a process of a run.

        Core's processes name their version in each request, and those of native agents the lease that they hold.
        """
        by_hand = self.core_version is None and self.lease is None
        return self.identity.user_id if by_hand and self.identity.key is not None else None

    @property
    def owner(self) -> Owner:
        """Whose share is used: the tenant's, and of it the key's."""
        return self.identity.owner

    async def beside(self, work: Callable[[], T], *, until_left: bool = False) -> T:
        """What `work` comes to, in the thread beside the event loop, when it is the caller's turn.

        `until_left`: nobody needs it once the client has left. What changes something is done all the same.
        """
        self.budget.check_seconds()

        def timed() -> T:
            began = perf_counter()
            try:
                return work()
            finally:
                self.budget.spend_seconds(perf_counter() - began)

        if not until_left or self.caller is None:
            return await self.shared.off_loop.run(self.owner, timed)
        with self.caller.while_there():
            return await self.shared.off_loop.run(self.owner, timed)

    def require(self, needed: Needed) -> None:
        """Raise what clients take for a refusal unless the caller holds all of these permissions."""
        if not needed <= self.identity.rights.permissions:
            raise compat.error_of(Refused(code=Code.FORBIDDEN))

    async def record(
        self,
        message: str,
        *,
        object_id: UUID | None,
        info: dict[str, str],
        tenant_id: UUID | None = None,
    ) -> None:
        """Append to the audit trail of the caller's tenant, or of the one that the caller named and may speak for.

        What was done stays done: if the trail cannot be written, the log has the line.
        """
        named = tenant_id if self.identity.any_tenant else None
        if named is not None and not await self.shared.tenants.exists(named):
            named = None  # just deleted: nobody could read its trail
        try:
            await self.shared.store.audit(
                self.shared.ids(),
                tenant_id=named or self.tenant_id,
                actor=self.identity.actor,
                user_id=self.identity.user_id if self.identity.key else None,
                message=message,
                object_id=object_id,
                info=info,
            )
        except Exception as error:
            if not is_outage(error):
                raise
            _log.error(
                "audit_not_written",
                actor=self.identity.actor,
                audited=message,
                object_id=str(object_id),
                info=info,
                error=str(error),
            )

    async def record_abroad(
        self, message: str, *, tenant_id: UUID, object_id: UUID, info: dict[str, str]
    ) -> None:
        """Append to the trail of another tenant what a guest did to it; there the key has no name."""
        key = self.identity.key
        await self.shared.store.audit(
            self.shared.ids(),
            tenant_id=tenant_id,
            actor=f"guest:{self.identity.user_id}:{key.id if key else ANYBODY}",
            user_id=self.identity.user_id if key else None,
            message=message,
            object_id=object_id,
            info=info,
        )

    async def record_refusal(self, what: str, *, info: dict[str, str] | None = None) -> None:
        """Append that the caller may not, the first time and then once a minute with how often."""
        times = self.shared.refusals.worth_a_line(
            self.identity.actor, what, now=self.shared.clock()
        )
        if times is not None:
            facts = {**(info or {}), "times": str(times)}
            try:
                await self.record(f"{what} refused", object_id=None, info=facts)
            except Exception as error:
                # Whatever becomes of the trail, the caller is refused, and in the same words.
                _log.error(
                    "refusal_not_audited",
                    actor=self.identity.actor,
                    refused=what,
                    error=str(error),
                )

    async def tenant_for(self, given: UUID | None, *, field: str = "tenant_id") -> UUID:
        """The tenant of an explicit argument: it must be one that the caller may speak for."""
        if given is None or given == self.identity.tenant_id:
            return self.identity.tenant_id
        if not self.identity.any_tenant:
            raise compat.error_of(Refused(code=Code.TENANT_FORBIDDEN, fields={"field": field}))
        if not await self.shared.tenants.exists(given):
            fields = {"tenant_id": str(given)}
            raise compat.error_of(Refused(code=Code.TENANT_NOT_FOUND, fields=fields))
        return given

    async def ask(self, rpc: Rpc[Req, Rep], request: Req) -> Rep:
        """Ask a service; a refusal becomes the error that clients know."""
        reply = await self.answer(rpc, request)
        if isinstance(reply, Refused):
            raise compat.error_of(reply)
        return reply

    async def answer(self, rpc: Rpc[Req, Rep], request: Req) -> Rep | Refused:
        """Ask a service; a refusal is an answer."""
        return await self.shared.bus.call(rpc, request)
