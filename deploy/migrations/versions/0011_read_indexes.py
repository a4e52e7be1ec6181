"""Indexes for the counts of every dashboard that is known; `libs/schema/runs.py` says what they cost.

Writing runs waits while they are made: some seconds a million flow runs.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the counts by `updated` need, and let those by `scheduled_start_time` be answered without the table."""
    op.execute("DROP INDEX runs.flow_run_state_idx")
    op.execute(
        "CREATE INDEX flow_run_state_idx ON runs.flow_run (tenant_id, state, scheduled_start_time DESC)"
        " INCLUDE (flow_id)"
    )
    op.execute(
        "CREATE INDEX flow_run_state_updated_idx ON runs.flow_run (tenant_id, state, updated DESC)"
        " INCLUDE (flow_id, heartbeat, id)"
    )
    op.execute(
        "CREATE INDEX flow_run_flow_state_idx ON runs.flow_run (flow_id, state, updated DESC)"
        " INCLUDE (tenant_id, scheduled_start_time)"
    )
    op.execute("CREATE INDEX flow_run_updated_idx ON runs.flow_run (tenant_id, updated DESC)")
    op.execute(
        "CREATE INDEX task_run_failed_idx ON runs.task_run (tenant_id, updated DESC) WHERE state = 'Failed'"
    )


def downgrade() -> None:
    """Back to the one index by state."""
    op.execute("DROP INDEX runs.task_run_failed_idx")
    op.execute("DROP INDEX runs.flow_run_updated_idx")
    op.execute("DROP INDEX runs.flow_run_flow_state_idx")
    op.execute("DROP INDEX runs.flow_run_state_updated_idx")
    op.execute("DROP INDEX runs.flow_run_state_idx")
    op.execute(
        "CREATE INDEX flow_run_state_idx ON runs.flow_run (tenant_id, state, scheduled_start_time DESC)"
    )
