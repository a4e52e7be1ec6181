"""Whether two processes may be registered as one agent.

Agents that are registered already may be: nobody counted. They are believed to be one process again when they register
after a day of silence.

Revision ID: 0017
Revises: 0016
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; it is written by whoever knows it, and cautious for the release before."""
    op.execute("ALTER TABLE runs.agent ADD COLUMN shared boolean NOT NULL DEFAULT true")


def downgrade() -> None:
    """Take it away."""
    op.execute("ALTER TABLE runs.agent DROP COLUMN shared")
