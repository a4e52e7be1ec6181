"""An index of the task runs that run, by which those are found that their flow run left behind.

Writing task runs waits while it is made: a second a few million task runs.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.execute(
        "CREATE INDEX task_run_running_idx ON runs.task_run (flow_run_id)"
        " WHERE state IN ('Running', 'Cancelling')"
    )


def downgrade() -> None:
    """Take it away."""
    op.execute("DROP INDEX runs.task_run_running_idx")
