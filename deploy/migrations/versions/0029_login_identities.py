"""People who log in with an OpenID Connect provider.

Revision ID: 0029
Revises: 0027
"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; the release before does not know it, and takes the sessions as those of any key."""
    op.execute(
        """
        CREATE TABLE gateway.login_identity (
            issuer VARCHAR NOT NULL,
            subject VARCHAR NOT NULL,
            tenant_id UUID NOT NULL,
            user_id UUID NOT NULL,
            key_id UUID NOT NULL,
            email VARCHAR NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            last_log_in TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT login_identity_pkey PRIMARY KEY (issuer, subject)
        )
        """
    )
    op.execute(
        "CREATE INDEX login_identity_tenant_id_user_id_idx ON gateway.login_identity (tenant_id, user_id)"
    )


def downgrade() -> None:
    """Forget them; their sessions end with their keys, or after twelve hours."""
    op.execute("DROP TABLE gateway.login_identity")
