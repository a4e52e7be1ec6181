"""Sessions of browsers that were logged out: every gateway refuses them from then on.

Revision ID: 0020
Revises: 0019
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; the release before does not know it, and goes on taking sessions that were logged out."""
    op.execute(
        """
        CREATE TABLE gateway.ended_session (
            serial BYTEA NOT NULL,
            tenant_id UUID NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT ended_session_pkey PRIMARY KEY (serial)
        )
        """
    )
    op.execute("CREATE INDEX ended_session_expires_at_idx ON gateway.ended_session (expires_at)")


def downgrade() -> None:
    """Forget them; they end by themselves twelve hours after they began."""
    op.execute("DROP TABLE gateway.ended_session")
