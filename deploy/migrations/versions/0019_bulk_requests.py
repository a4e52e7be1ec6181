"""Actions on many runs or flows at once, with a result for each.

Revision ID: 0019
Revises: 0018
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; the release before knows neither."""
    op.execute(
        """
        CREATE TABLE gateway.bulk_request (
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            tenant_id UUID NOT NULL,
            request_key VARCHAR NOT NULL,
            action VARCHAR NOT NULL,
            arguments JSONB DEFAULT '{}'::jsonb NOT NULL,
            total INTEGER NOT NULL,
            worker UUID,
            held_until TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            finished_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT bulk_request_pkey PRIMARY KEY (id),
            CONSTRAINT bulk_request_tenant_id_request_key_key UNIQUE (tenant_id, request_key)
        )
        """
    )
    op.execute("CREATE INDEX bulk_request_finished_at_idx ON gateway.bulk_request (finished_at)")
    op.execute(
        """
        CREATE TABLE gateway.bulk_item (
            request_id UUID NOT NULL,
            position INTEGER NOT NULL,
            tenant_id UUID NOT NULL,
            object_id UUID NOT NULL,
            seen_version INTEGER NOT NULL,
            seen_state VARCHAR NOT NULL,
            outcome VARCHAR,
            reason VARCHAR,
            state VARCHAR,
            version INTEGER,
            CONSTRAINT bulk_item_pkey PRIMARY KEY (request_id, position),
            CONSTRAINT bulk_item_request_id_fkey FOREIGN KEY (request_id)
                REFERENCES gateway.bulk_request (id) ON DELETE CASCADE
        )
        """
    )


def downgrade() -> None:
    """Forget the requests; what they did stays done."""
    op.execute("DROP TABLE gateway.bulk_item")
    op.execute("DROP TABLE gateway.bulk_request")
