"""The outbox: events that commit together with the rows that they describe (ARCHITECTURE.md).

A service that emits events has one such table in its own schema. `libs.runtime.outbox` writes and relays it.
"""

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary, Table, Text, func, text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from libs.schema.base import TIMESTAMPTZ, metadata


def outbox_table(schema: str) -> Table:
    """Declare `<schema>.outbox`.

    `id` is the event id and the `Nats-Msg-Id`; `seq` gives the order of insertion (not of commit, so it is never
    used as a cursor); a row is deleted once JetStream acknowledged it, so that the table stays a few pages long.
    `traceparent` (W3C) lets the event's consumers continue the trace of its cause; null when traces are off.
    """
    return Table(
        "outbox",
        metadata,
        Column("id", PG_UUID(as_uuid=True), primary_key=True),
        Column("seq", BigInteger, Identity(always=True), nullable=False),
        Column("subject", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("created", TIMESTAMPTZ, nullable=False, server_default=func.now()),
        Column("traceparent", Text),
        Index("outbox_seq_idx", text("seq")),
        schema=schema,
    )
