"""Memberships: the other tenants that the holder of a key may enter.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; nobody is a member of another tenant yet."""
    op.execute(
        """
        CREATE TABLE gateway.membership (
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            tenant_id UUID NOT NULL,
            user_id UUID NOT NULL,
            home_tenant_id UUID NOT NULL,
            role VARCHAR NOT NULL,
            CONSTRAINT membership_pkey PRIMARY KEY (id),
            CONSTRAINT membership_user_id_home_tenant_id_tenant_id_key UNIQUE (user_id, home_tenant_id, tenant_id),
            CONSTRAINT membership_tenant_id_fkey FOREIGN KEY(tenant_id)
                REFERENCES gateway.tenant (id) ON DELETE CASCADE,
            CONSTRAINT membership_home_tenant_id_fkey FOREIGN KEY(home_tenant_id)
                REFERENCES gateway.tenant (id) ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX membership_tenant_id_idx ON gateway.membership (tenant_id)")
    op.execute("CREATE INDEX membership_home_tenant_id_idx ON gateway.membership (home_tenant_id)")


def downgrade() -> None:
    """Nobody enters another tenant any more."""
    op.execute("DROP TABLE gateway.membership")
