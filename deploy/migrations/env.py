"""Alembic's entry. `deploy.migrate` passes a synchronous connection in `config.attributes["connection"]`.

There is no other way in: migrations need the owner's connection, an advisory lock and the grants that follow them.
"""

import re

from alembic import context

from libs.schema import OWNERS, metadata


def _is_declared(name: str | None, kind: str, _parents: object) -> bool:
    """Compare the services' schemas only, and no partitions: those come and go by themselves."""
    if kind == "schema":
        return name in OWNERS
    return kind != "table" or re.search(r"_(w\d{6}|default)$", name or "") is None


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_schemas=True,
    include_name=_is_declared,
    version_table_schema="public",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
