"""Alembic's entry. `deploy.migrate` passes a synchronous connection in `config.attributes["connection"]`.

There is no other way in: migrations need the owner's connection, an advisory lock and the grants that follow them.
"""

import re
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationInfo

from libs.schema import OWNERS, metadata


def _is_declared(name: str | None, kind: str, _parents: object) -> bool:
    """Compare the services' schemas only, and no partitions: those come and go by themselves."""
    if kind == "schema":
        return name in OWNERS
    return kind != "table" or re.search(r"_(w\d{6}|default)$", name or "") is None


def _say(*, step: MigrationInfo, **_: Any) -> None:
    tell = context.config.attributes.get("tell")
    if tell is not None:
        tell(f"applied {', '.join(step.up_revision_ids)}")


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_schemas=True,
    include_name=_is_declared,
    version_table_schema="public",
    transaction_per_migration=True,
    on_version_apply=_say,  # type: ignore[arg-type]  # called by keywords, which its type does not say
)
with context.begin_transaction():
    context.run_migrations()
