"""The schema of the automations, without a table.

Revision ID: 0021
Revises: 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; the release before does not look there."""
    op.execute("CREATE SCHEMA automations")


def downgrade() -> None:
    """Remove it."""
    op.execute("DROP SCHEMA automations")
