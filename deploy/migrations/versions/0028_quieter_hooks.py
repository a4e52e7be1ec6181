"""Hooks with a throttle, and deliveries that another one tells of.

Owing deliveries waits while the index is made: about a second a million of them.

Revision ID: 0028
Revises: 0027
"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; every row of before satisfies the new check."""
    op.execute("ALTER TABLE automations.hook ADD COLUMN throttle JSONB")
    op.execute("ALTER TABLE automations.delivery ADD COLUMN told_in UUID")
    op.execute("ALTER TABLE automations.delivery DROP CONSTRAINT delivery_status_is_known_check")
    op.execute(
        "ALTER TABLE automations.delivery ADD CONSTRAINT delivery_status_is_known_check CHECK (status IN"
        " ('pending', 'delivered', 'failed', 'muted', 'switched_off', 'counted', 'digested')) NOT VALID"
    )
    op.execute(
        "ALTER TABLE automations.delivery VALIDATE CONSTRAINT delivery_status_is_known_check"
    )
    op.execute(
        "CREATE INDEX delivery_hook_created_idx ON automations.delivery (hook_id, created)"
        " WHERE hook_id IS NOT NULL"
    )


def downgrade() -> None:
    """Drop them. What was counted or digested has been told of: it is shown as muted."""
    op.execute("DROP INDEX automations.delivery_hook_created_idx")
    op.execute(
        "UPDATE automations.delivery SET status = 'muted' WHERE status IN ('counted', 'digested')"
    )
    op.execute("ALTER TABLE automations.delivery DROP CONSTRAINT delivery_status_is_known_check")
    op.execute(
        "ALTER TABLE automations.delivery ADD CONSTRAINT delivery_status_is_known_check CHECK (status IN"
        " ('pending', 'delivered', 'failed', 'muted', 'switched_off'))"
    )
    op.execute("ALTER TABLE automations.delivery DROP COLUMN told_in")
    op.execute("ALTER TABLE automations.hook DROP COLUMN throttle")
