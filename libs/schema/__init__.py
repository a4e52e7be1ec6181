"""The tables of Headwater, grouped by the service that owns (writes) them.

SQLModel is used for the schema alone: migrations, the grants of `roles`, and the GraphQL types of the gateway.
Rows never travel as model objects; hot paths speak SQL (see pitfalls: ORM objects cost more than the statement).

One PostgreSQL schema per owning service: `registry.flow`, `runs.flow_run`, and so on. Importing this package
registers every table on `metadata`.
"""

from libs.schema import automations, gateway, heartbeat, lazarus, registry, runs, scheduler, slots
from libs.schema.base import OWNERS, metadata, shown_columns

__all__ = [
    "OWNERS",
    "automations",
    "gateway",
    "heartbeat",
    "lazarus",
    "metadata",
    "registry",
    "runs",
    "scheduler",
    "shown_columns",
    "slots",
]
