"""Since when a flow's heartbeats are on: the switch guards future runs, not those that began without pings.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that is null where heartbeats were never switched on, because they always were."""
    op.execute(
        "ALTER TABLE registry.flow_group ADD COLUMN heartbeats_since TIMESTAMP WITH TIME ZONE"
    )


def downgrade() -> None:
    """Take it away: a run that began in the second before the switch may be guarded again."""
    op.execute("ALTER TABLE registry.flow_group DROP COLUMN heartbeats_since")
