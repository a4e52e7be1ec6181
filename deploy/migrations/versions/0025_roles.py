"""Custom roles, the role of an account, and invitations.

Revision ID: 0025
Revises: 0024
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_WITH_ROLES = ("api_key", "person", "membership", "membership_invitation")


def upgrade() -> None:
    """Add tables, and columns that may be empty; the release before knows none of them.

    It takes the holder of a custom role for a reader, as `role` says beside `role_id`.
    """
    op.execute(
        """
        CREATE TABLE gateway.role (
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            tenant_id UUID NOT NULL,
            name VARCHAR NOT NULL,
            permissions JSONB NOT NULL,
            CONSTRAINT role_pkey PRIMARY KEY (id),
            CONSTRAINT role_tenant_id_name_key UNIQUE (tenant_id, name),
            CONSTRAINT role_id_tenant_id_key UNIQUE (id, tenant_id),
            CONSTRAINT role_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES gateway.tenant (id) ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        CREATE TABLE gateway.membership_invitation (
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            tenant_id UUID NOT NULL,
            email VARCHAR NOT NULL,
            role VARCHAR NOT NULL,
            created_by UUID,
            CONSTRAINT membership_invitation_pkey PRIMARY KEY (id),
            CONSTRAINT membership_invitation_tenant_id_fkey FOREIGN KEY(tenant_id)
                REFERENCES gateway.tenant (id) ON DELETE CASCADE
        )
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX membership_invitation_tenant_id_email_idx "
        "ON gateway.membership_invitation (tenant_id, lower(email))"
    )
    op.execute("ALTER TABLE gateway.person ADD COLUMN role VARCHAR, ADD COLUMN email VARCHAR")
    for table in _WITH_ROLES:
        op.execute(
            f"ALTER TABLE gateway.{table} ADD COLUMN role_id UUID, "
            f"ADD CONSTRAINT {table}_role_id_fkey FOREIGN KEY(role_id, tenant_id) "
            "REFERENCES gateway.role (id, tenant_id)"
        )


def downgrade() -> None:
    """Keys with a custom role end: nobody knows any more what they may do."""
    op.execute(
        "UPDATE gateway.api_key SET revoked_at = now() WHERE role_id IS NOT NULL AND revoked_at IS NULL"
    )
    op.execute("DELETE FROM gateway.membership WHERE role_id IS NOT NULL")
    op.execute("DROP TABLE gateway.membership_invitation")
    for table in _WITH_ROLES[:-1]:
        op.execute(f"ALTER TABLE gateway.{table} DROP COLUMN role_id")
    op.execute("ALTER TABLE gateway.person DROP COLUMN email, DROP COLUMN role")
    op.execute("DROP TABLE gateway.role")
