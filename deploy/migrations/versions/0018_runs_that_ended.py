"""Indexes on when flow runs ended: for lists by `end_time`, and for counts (services/gateway/reads/buckets.py).

Writing runs waits while they are made, some seconds a million flow runs, unless they are there: deploy/README.md
says how to build them beforehand, with CREATE INDEX CONCURRENTLY under the same names.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; the release before does not know of them."""
    op.execute(
        "CREATE INDEX IF NOT EXISTS flow_run_ended_idx ON runs.flow_run (tenant_id, end_time DESC)"
        " INCLUDE (state, flow_id, start_time) WHERE end_time IS NOT NULL"
    )
    op.execute(
        "CREATE INDEX IF NOT EXISTS flow_run_state_ended_idx ON runs.flow_run (tenant_id, state, end_time DESC)"
        " INCLUDE (flow_id) WHERE end_time IS NOT NULL"
    )


def downgrade() -> None:
    """Take them away."""
    op.execute("DROP INDEX runs.flow_run_state_ended_idx")
    op.execute("DROP INDEX runs.flow_run_ended_idx")
