"""What deleted cloud hooks had, for an hour.

Revision ID: 0027
Revises: 0026
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table. Configurations are shown with their secrets hidden, and the web UI edits a hook by deleting it and
    making another one with what it had read."""
    op.execute(
        """
        CREATE TABLE gateway.former_cloud_hook (
            id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            type VARCHAR NOT NULL,
            config JSONB NOT NULL,
            deleted TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT former_cloud_hook_pkey PRIMARY KEY (id)
        )
        """
    )
    op.execute(
        "CREATE INDEX former_cloud_hook_tenant_id_idx ON gateway.former_cloud_hook (tenant_id)"
    )
    op.execute("CREATE INDEX former_cloud_hook_deleted_idx ON gateway.former_cloud_hook (deleted)")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE gateway.former_cloud_hook")
