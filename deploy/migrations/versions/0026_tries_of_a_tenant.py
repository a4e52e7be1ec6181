"""An index for the tries of a tenant, the newest first: the log of deliveries is read so.

Recording tries waits while it is made: about a second a million of them.

Revision ID: 0026
Revises: 0025
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; the release before does not notice."""
    op.execute(
        "CREATE INDEX delivery_attempt_tenant_started_idx"
        " ON automations.delivery_attempt (tenant_id, started DESC)"
    )


def downgrade() -> None:
    """Without it."""
    op.execute("DROP INDEX automations.delivery_attempt_tenant_started_idx")
