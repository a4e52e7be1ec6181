"""The connections that read the queue (`look.sql`, `claim.sql`), for which PostgreSQL plans otherwise."""

from libs.runtime.database import Database

CONNECTIONS = 3
"""Passes over the queue at once, each of another tenant."""
SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "enable_sort": "off",
    "enable_incremental_sort": "off",
}
"""Statements are planned once, and by the queue's index.

By itself PostgreSQL plans both anew each time, which costs more than everything else in a pass: of `look` 1.4 of 1.6
ms, of `claim` 1.1 of 1.4. And it may choose an index by which it reads all runs of the largest tenant, because it
estimates with the average one. A plan without a sort can use the queue's index only.
"""


def queue_database(database: Database, service: str) -> Database:
    """A pool beside the service's own."""
    return database.another(f"{service}-queue", pool_size=CONNECTIONS, session=SESSION)
