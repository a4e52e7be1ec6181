"""The first tables, one schema per owning service, with partitions and definer functions.

The SQL stands beside this file, frozen: it must not change when `libs/schema` does.

Revision ID: 0001
Revises:
"""

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    script = Path(__file__).with_suffix(".sql").read_text()
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        msg = "the migration's connection is closed"
        raise RuntimeError(msg)
    # asyncpg runs a script of many statements only in its own dialect.
    await_only(driver.execute(script))


def downgrade() -> None:
    """Drop everything: there is nothing before the first migration."""
    for schema in ("gateway", "registry", "runs", "scheduler", "heartbeat", "lazarus"):
        op.execute(f"DROP SCHEMA {schema} CASCADE")
