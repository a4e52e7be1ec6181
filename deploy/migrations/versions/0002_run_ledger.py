"""What the ledger's queue, late-run reasons and log caps need.

Revision ID: 0002
Revises: 0001
"""

from pathlib import Path
from typing import Any

from alembic import op
from sqlalchemy.util import await_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two indexes, a column and a table."""
    script = Path(__file__).with_suffix(".sql").read_text()
    driver: Any = op.get_bind().connection.driver_connection
    await_only(driver.execute(script))


def downgrade() -> None:
    """Take them away again; the reasons and counts can be had anew."""
    op.execute("DROP TABLE runs.log_usage")
    op.execute("ALTER TABLE runs.flow_run DROP COLUMN late_reason")
    op.execute("DROP INDEX runs.task_run_waiting_idx")
    op.execute("DROP INDEX runs.flow_run_queue_idx")
