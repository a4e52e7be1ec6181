"""Tenants that were deleted, and the key with which a key was made.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the column; the release before knows neither, and needs neither."""
    op.execute(
        """
        CREATE TABLE gateway.deleted_tenant (
            id UUID NOT NULL,
            deleted TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT deleted_tenant_pkey PRIMARY KEY (id)
        )
        """
    )
    op.execute("CREATE INDEX deleted_tenant_deleted_idx ON gateway.deleted_tenant (deleted)")
    op.execute("ALTER TABLE gateway.api_key ADD COLUMN made_with UUID")
    op.execute("CREATE INDEX api_key_made_with_idx ON gateway.api_key (made_with)")


def downgrade() -> None:
    """Forget which tenants were deleted."""
    op.execute("ALTER TABLE gateway.api_key DROP COLUMN made_with")
    op.execute("DROP TABLE gateway.deleted_tenant")
