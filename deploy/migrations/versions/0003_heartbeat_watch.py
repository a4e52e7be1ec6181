"""Since when pings are heard: what the safeguards look at before they judge anybody.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the one-row table."""
    op.execute(
        """
        CREATE TABLE heartbeat.watch (
            id INTEGER NOT NULL,
            since TIMESTAMP WITH TIME ZONE NOT NULL,
            at TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT watch_pkey PRIMARY KEY (id),
            CONSTRAINT watch_one_row_check CHECK (id = 1)
        )
        """
    )


def downgrade() -> None:
    """Take it away; the service begins to watch anew."""
    op.execute("DROP TABLE heartbeat.watch")
