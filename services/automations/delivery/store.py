"""The SQL of deliveries. Methods are named for the question they answer; none commits.

`now` is a test's clock; None is the database's, which rules in production.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.contracts.deliveries import SentAgain
from libs.runtime.database import Connection, statement
from services.automations.domain.breaker import Breaker

MOVED = 5_000
"""Rows that are moved in one go when a breaker opens or closes."""
EXPIRED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A delivery that this worker has, with its addressee as it is now; both are None when it was deleted."""

    id: UUID
    tenant_id: UUID
    action_id: UUID | None
    cloud_hook_id: UUID | None
    hook_id: UUID | None
    event_id: UUID
    event_type: str
    event: Mapping[str, Any]
    dedup: str
    chain: list[str]
    attempts: int
    """Before this one."""
    receiver: str | None
    lease: UUID
    age: timedelta
    action_type: str | None
    action_config: Mapping[str, Any] | None
    sealed: bytes | None = field(repr=False)
    created_by: UUID | None
    """Who made the hook, or the action where no hook leads to it."""
    cloud_hook_type: str | None
    cloud_hook_config: Mapping[str, Any] | None = field(repr=False)
    cloud_hook_is_active: bool | None
    slug: str | None

    @property
    def addressee(self) -> UUID:
        """The action or cloud hook: what a limit of concurrency is for."""
        return self.action_id or self.cloud_hook_id or self.id

    @property
    def acts_for(self) -> UUID | None:
        """Whose rights an action on runs has: those of who made the hook, or of who tests it."""
        if not self.is_test:
            return self.created_by
        tested_by = self.event.get("tested_by")
        return None if tested_by is None else UUID(tested_by)

    @property
    def is_test(self) -> bool:
        """Whether a person asked for it: it is tried once, whoever tries it, and asks no circuit breaker."""
        return self.event.get("is_test_event") is True


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a worker can take: deliveries in all, those of one addressee, and who has less or none."""

    deliveries: int
    of_one: int
    left: Mapping[UUID, int]
    """Addressees that are busy, with the room they have left."""
    full_tenants: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What is recorded of a try."""

    status: str
    after: timedelta
    receiver: str | None
    error: str | None
    http_status: int | None
    answer: str | None
    latency_ms: int


@dataclass(frozen=True, slots=True)
class DeliveryStore:
    """Statements on one connection, inside its transaction."""

    connection: Connection
    now: datetime | None = None

    async def lease(self, lease: UUID, length: timedelta, room: Room) -> list[Leased]:
        """Take due deliveries."""
        full = [addressee for addressee, left in room.left.items() if left <= 0]
        rows = await self.connection.fetch(
            statement(__file__, "lease"),
            self.now, lease, length, room.deliveries, full, list(room.full_tenants),
            list(room.left), list(room.left.values()), room.of_one,
        )  # fmt: skip
        return [Leased(**dict(row)) for row in rows]

    async def settle(self, delivery: Leased, attempt_id: UUID, settled: Settled) -> int | None:
        """Record a try and what follows: its number in the log. None when another worker has the delivery by now."""
        attempts = await self.connection.fetchval(
            statement(__file__, "settle"),
            delivery.id, delivery.tenant_id, delivery.lease, settled.status, settled.receiver,
            settled.error, self.now, settled.after,
        )  # fmt: skip
        if attempts is None:
            return None
        number: int | None = await self.connection.fetchval(
            statement(__file__, "attempt"),
            attempt_id, delivery.id, delivery.tenant_id, self.now, settled.latency_ms,
            settled.http_status, settled.answer, settled.error,
        )  # fmt: skip
        return number

    async def postpone(
        self, delivery: Leased, after: timedelta, *, receiver: str | None, reason: str
    ) -> None:
        """Give it back untried."""
        await self.connection.execute(
            statement(__file__, "postpone"),
            delivery.id, delivery.tenant_id, delivery.lease, self.now, after, receiver, reason,
        )  # fmt: skip

    async def breaker(self, tenant_id: UUID, host: str) -> Breaker:
        """The state of a receiver; closed when nothing is known of it."""
        row = await self.connection.fetchrow(
            "SELECT failures, opened_until FROM automations.receiver WHERE tenant_id = $1 AND host = $2",
            tenant_id, host,
        )  # fmt: skip
        return Breaker() if row is None else Breaker(**dict(row))

    async def lock_breaker(self, tenant_id: UUID, host: str) -> tuple[Breaker, datetime]:
        """The state of a receiver, which nobody else changes until we commit, and the time now."""
        row = await self.connection.fetchrow(
            "INSERT INTO automations.receiver AS r (tenant_id, host) VALUES ($1, $2)"
            " ON CONFLICT (tenant_id, host) DO UPDATE SET failures = r.failures"
            " RETURNING failures, opened_until, coalesce($3::timestamptz, now()) AS now",
            tenant_id, host, self.now,
        )  # fmt: skip
        assert row is not None  # noqa: S101 - an upsert returns its row
        return Breaker(failures=row["failures"], opened_until=row["opened_until"]), row["now"]

    async def set_breaker(self, tenant_id: UUID, host: str, breaker: Breaker) -> None:
        """Write the state of a receiver; one that is well has no row."""
        if breaker == Breaker():
            await self.connection.execute(
                "DELETE FROM automations.receiver WHERE tenant_id = $1 AND host = $2",
                tenant_id, host,
            )  # fmt: skip
            return
        await self.connection.execute(
            "UPDATE automations.receiver SET failures = $3, opened_until = $4"
            " WHERE tenant_id = $1 AND host = $2",
            tenant_id, host, breaker.failures, breaker.opened_until,
        )  # fmt: skip

    async def move(
        self, tenant_id: UUID, host: str, to: datetime, spread: timedelta, *, later: bool
    ) -> None:
        """Let what waits for a receiver come up at this time, within `spread`."""
        await self.connection.execute(
            statement(__file__, "move"), tenant_id, host, to, spread, later, MOVED
        )

    async def switch_off_hooks(self, tenant_id: UUID, action_id: UUID) -> None:
        """Nothing leads to this action any more, until a person switches it on again."""
        await self.connection.execute(
            "UPDATE automations.hook SET is_active = false, updated = now()"
            " WHERE tenant_id = $1 AND action_id = $2 AND is_active",
            tenant_id, action_id,
        )  # fmt: skip

    async def redeliver(self, tenant_id: UUID, delivery_id: UUID) -> SentAgain:
        """Make a finished one due again."""
        outcome: str | None = await self.connection.fetchval(
            statement(__file__, "redeliver"), delivery_id, tenant_id, self.now
        )
        return SentAgain.UNKNOWN if outcome is None else SentAgain(outcome)

    async def expire(self, keep: timedelta) -> int:
        """Delete finished deliveries that are older; how many."""
        done: str = await self.connection.execute(
            statement(__file__, "expire"), self.now, keep, EXPIRED
        )
        return int(done.rpartition(" ")[2])

    async def lag(self) -> float:
        """Seconds since the oldest delivery that is due became due; 0 when none is."""
        lag: float | None = await self.connection.fetchval(
            "SELECT extract(epoch FROM coalesce($1::timestamptz, now()) - min(due))::float8"
            " FROM automations.delivery WHERE status = 'pending' AND due <= coalesce($1::timestamptz, now())",
            self.now,
        )  # fmt: skip
        return lag or 0.0
