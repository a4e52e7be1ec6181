"""The outbox: events commit with their rows, a relay publishes them, a row is deleted when JetStream has it.

Safety: `add` runs in the caller's transaction, so an event exists if and only if its change does. `Nats-Msg-Id` is the
row's id, so publishing twice inside the stream's window is one message, and consumers are idempotent beyond it. Order:
rows of one run are inserted under that run's row lock, so their `seq` follows commit order; one relay at a time holds
the advisory lock of its service, so they are published in `seq` order. `seq` is never used as a cursor. Liveness: the
service pokes its relay after a commit; the sweep finds rows that a crash left. If NATS is gone, rows wait.
"""

import asyncio
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple
from uuid import UUID

from libs.contracts.base import Event
from libs.runtime import faults, metrics, trace
from libs.runtime.bus import Bus
from libs.runtime.database import Connection, Database
from libs.runtime.nats.lean import acknowledged
from libs.runtime.records import RecordStatement

BATCH = 500


async def add(connection: Connection, schema: str, events: Iterable[Event]) -> None:
    """Insert events into the schema's outbox, in the caller's transaction."""
    if new := rows(events):
        await _insert_into(schema).execute(connection, events=new, traceparent=traceparent())


class OutboxRow(NamedTuple):
    """An event as the outbox keeps it."""

    id: UUID
    subject: str
    body: bytes


@cache
def _insert_into(schema: str) -> RecordStatement:
    return RecordStatement.of(
        f"INSERT INTO {schema}.outbox (id, subject, body, traceparent) "
        "SELECT events.id, events.subject, events.body, {traceparent}::text FROM {events}",
        "add_events",
        events=OutboxRow,
    )


def rows(events: Iterable[Event]) -> list[OutboxRow]:
    """The rows of these events, for a statement that inserts them; `traceparent` is one for all."""
    return [OutboxRow(e.event_id, subject_of(e), e.model_dump_json().encode()) for e in events]


def traceparent() -> str | None:
    """The trace that the events of this transaction belong to; None when traces are off."""
    return trace.current()


def subject_of(event: Event) -> str:
    """The event's subject; its tokens are fields of the event."""
    return event.subject.at(**{token: getattr(event, token) for token in event.subject.tokens})


class Relay:
    """Publishes one service's outbox. `tick` answers how many events it published."""

    def __init__(self, database: Database, bus: Bus, schema: str) -> None:
        self._database = database
        self._bus = bus
        self._schema = schema

    async def tick(self) -> int:
        """Publish all rows, in batches; nothing while another replica's relay holds the lock."""
        total = 0
        while published := await self._batch():
            total += published
            if published < BATCH:
                break
        return total

    async def _batch(self) -> int:
        async with self._database.transaction() as connection:
            # One relay per service at a time keeps the order per id; the lock ends with the transaction or its process.
            # No wait for the disk: a row that a crash brings back is published again under its own Nats-Msg-Id.
            if not await connection.fetchval(
                "SELECT pg_try_advisory_xact_lock(hashtext($1)) FROM set_config('synchronous_commit', 'off', true)",
                f"outbox:{self._schema}",
            ):
                return 0
            rows = await connection.fetch(
                "SELECT id, subject, body, traceparent, extract(epoch FROM now() - created)::float8 AS waited "
                f"FROM {self._schema}.outbox ORDER BY seq LIMIT {BATCH}"
            )
            lag = max((row["waited"] for row in rows), default=0.0)
            metrics.OUTBOX_LAG.labels(self._schema).set(lag)
            if not rows:
                return 0
            acknowledgements = [
                await self._bus.client.begin_event(
                    row["subject"],
                    row["body"],
                    stream="EVENTS",
                    headers=_headers(row["id"], row["traceparent"]),
                    timeout=5,
                )
                for row in rows
            ]
            for answer in await asyncio.gather(*acknowledgements):
                acknowledged(answer)
            await faults.reached(faults.Point.RELAY_AFTER_PUBLISH_BEFORE_MARK)
            await connection.execute(
                f"DELETE FROM {self._schema}.outbox WHERE id = ANY($1::uuid[])",
                [row["id"] for row in rows],
            )
            metrics.OUTBOX_PUBLISHED.labels(self._schema).inc(len(rows))
            return len(rows)


def _headers(event_id: UUID, traceparent: str | None) -> dict[str, str]:
    headers = {"Nats-Msg-Id": str(event_id)}
    if traceparent is not None:
        headers[trace.HEADER] = traceparent
    return headers
