"""Which trace an event continues.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SCHEMAS = ("registry", "runs", "heartbeat")


def upgrade() -> None:
    """Add a column that is null unless traces are on; the old version's inserts name their columns, so they go on."""
    for schema in _SCHEMAS:
        op.execute(f"ALTER TABLE {schema}.outbox ADD COLUMN traceparent TEXT")


def downgrade() -> None:
    """Events that wait are published without it."""
    for schema in _SCHEMAS:
        op.execute(f"ALTER TABLE {schema}.outbox DROP COLUMN traceparent")
