"""Names of people and service accounts, and who set a state by hand.

Revision ID: 0022
Revises: 0021
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add names, and columns that may be empty; the release before knows none of them.

    Who has keys is called as the first of them. A guest is called so: what the home tenant calls them is not told.
    """
    op.execute(
        """
        CREATE TABLE gateway.person (
            tenant_id UUID NOT NULL,
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            name VARCHAR NOT NULL,
            account_type VARCHAR DEFAULT 'USER' NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT person_pkey PRIMARY KEY (tenant_id, id),
            CONSTRAINT person_account_type_is_known_check CHECK (account_type IN ('USER', 'SERVICE'))
        )
        """
    )
    op.execute(
        """
        INSERT INTO gateway.person (tenant_id, id, created, updated, name)
        SELECT DISTINCT ON (tenant_id, user_id) tenant_id, user_id, created, updated, name
        FROM gateway.api_key
        -- Everybody, where keys are off: no name of one of them.
        WHERE user_id <> '3f0c7d52-8a44-4b8e-9a51-5d1f0c2b9e07'
        ORDER BY tenant_id, user_id, created, id
        """
    )
    op.execute(
        """
        INSERT INTO gateway.person (tenant_id, id, created, updated, name)
        SELECT tenant_id, user_id, created, updated, 'guest ' || right(user_id::text, 6)
        FROM gateway.membership
        ON CONFLICT DO NOTHING
        """
    )
    op.execute("ALTER TABLE gateway.audit_log ADD COLUMN user_id UUID")
    op.execute("ALTER TABLE gateway.bulk_request ADD COLUMN created_by UUID")
    op.execute("ALTER TABLE runs.flow_run_state ADD COLUMN actor UUID")
    op.execute("ALTER TABLE runs.task_run_state ADD COLUMN actor UUID")


def downgrade() -> None:
    """Forget the names; the ids stay in runs and flows."""
    op.execute("ALTER TABLE runs.task_run_state DROP COLUMN actor")
    op.execute("ALTER TABLE runs.flow_run_state DROP COLUMN actor")
    op.execute("ALTER TABLE gateway.bulk_request DROP COLUMN created_by")
    op.execute("ALTER TABLE gateway.audit_log DROP COLUMN user_id")
    op.execute("DROP TABLE gateway.person")
