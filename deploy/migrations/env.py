"""Alembic's entry. `deploy.migrate` passes a synchronous connection in `config.attributes["connection"]`.

There is no other way in: migrations need the owner's connection, an advisory lock and the grants that follow them.
"""

from alembic import context

from libs.schema import OWNERS, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_schemas=True,
    include_name=lambda name, kind, _parents: kind != "schema" or name in OWNERS,
    version_table_schema="public",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
