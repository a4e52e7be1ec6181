"""What taking back lapsed leases of native agents needs.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index the runs that an agent took and that have not begun: a handful, among a million live ones."""
    op.execute(
        "CREATE INDEX flow_run_leased_idx ON runs.flow_run (id) WHERE state = 'Submitted' AND lease_token IS NOT NULL"
    )


def downgrade() -> None:
    """Take it away again."""
    op.execute("DROP INDEX runs.flow_run_leased_idx")
