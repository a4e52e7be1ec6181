"""Slots of concurrency limits: which run occupies which limit.

Revision ID: 0008
Revises: 0006
"""

from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, with its index by limit (how full is it?) and by flow run (what ends with it?)."""
    op.execute(
        """
        CREATE TABLE runs.concurrency_slot (
            limit_id UUID NOT NULL,
            run_id UUID NOT NULL,
            flow_run_id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            taken TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT concurrency_slot_pkey PRIMARY KEY (limit_id, run_id),
            CONSTRAINT concurrency_slot_flow_run_id_fkey FOREIGN KEY(flow_run_id)
                REFERENCES runs.flow_run (id) ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX concurrency_slot_run_id_idx ON runs.concurrency_slot (run_id)")
    op.execute(
        "CREATE INDEX concurrency_slot_flow_run_id_idx ON runs.concurrency_slot (flow_run_id)"
    )
    for table in ("flow_concurrency_limit", "task_tag_limit"):
        op.execute(
            f'ALTER TABLE runs.{table} ADD CONSTRAINT {table}_not_negative_check CHECK ("limit" >= 0)'
        )


def downgrade() -> None:
    """Take it away: limits are then kept and not enforced, as before."""
    for table in ("flow_concurrency_limit", "task_tag_limit"):
        op.execute(f"ALTER TABLE runs.{table} DROP CONSTRAINT {table}_not_negative_check")
    op.execute("DROP TABLE runs.concurrency_slot")
