"""One unit of work: a transaction, its events, and the callback after its commit."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.contracts.base import Applied, Event
from libs.runtime import faults, outbox
from libs.runtime import log as logs
from libs.runtime.clock import Clock
from libs.runtime.database import Connection, Database
from libs.runtime.ids import NewId
from libs.schema.registry import SCHEMA

log = logs.get(SCHEMA)
_ENVELOPE = {"event_id", "at"}

NOT_FOUND = Applied(success=False)
"""The answer for an object that this tenant does not have."""


@dataclass(slots=True, kw_only=True)
class UnitOfWork:
    """A transaction in progress for one tenant."""

    connection: Connection
    tenant_id: UUID
    ids: NewId
    now: datetime
    events: list[Event] = field(default_factory=list)

    def record(self, event: type[Event], **fields: Any) -> None:
        """Add an event; it is published when the transaction commits."""
        self.events.append(
            event(event_id=self.ids(), at=self.now, tenant_id=self.tenant_id, **fields)
        )


class UnitsOfWork:
    """Makes units of work: it has the database, the clock, the ids, and the callback after a commit."""

    def __init__(
        self, database: Database, *, clock: Clock, ids: NewId, on_commit: Callable[[], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._on_commit = on_commit

    def now(self) -> datetime:
        """The time, for code without a transaction."""
        return self._clock()

    @asynccontextmanager
    async def begin(self, tenant_id: UUID) -> AsyncIterator[UnitOfWork]:
        """One transaction with its outbox rows. Leaving it by an exception undoes everything."""
        async with self._database.transaction() as connection:
            work = UnitOfWork(
                connection=connection, tenant_id=tenant_id, ids=self._ids, now=self._clock()
            )
            yield work
            await outbox.add(connection, SCHEMA, work.events)
            await faults.reached(faults.Point.REGISTRY_BEFORE_COMMIT)
        await faults.reached(faults.Point.REGISTRY_AFTER_COMMIT_BEFORE_ANSWER)
        for event in work.events:
            log.info("changed", what=event.subject.template, **event.model_dump(exclude=_ENVELOPE))
        if work.events:
            self._on_commit()
