"""Registrations in pieces that are not whole yet.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables. The release before goes on making flows of first pieces; such flows stay what they are."""
    op.execute(
        """
        CREATE TABLE registry.flow_draft (
            id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            project_id UUID NOT NULL,
            name VARCHAR NOT NULL,
            version_group_id VARCHAR,
            idempotency_key VARCHAR,
            description VARCHAR,
            created_by UUID,
            document JSONB NOT NULL,
            has_all_tasks BOOLEAN DEFAULT false NOT NULL,
            has_all_edges BOOLEAN DEFAULT false NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            touched TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT flow_draft_pkey PRIMARY KEY (id),
            CONSTRAINT flow_draft_project_id_fkey FOREIGN KEY(project_id)
                REFERENCES registry.project (id) ON DELETE CASCADE
        )
        """
    )
    op.execute(
        "CREATE INDEX flow_draft_project_id_name_idx ON registry.flow_draft (project_id, name)"
    )
    op.execute("CREATE INDEX flow_draft_touched_idx ON registry.flow_draft (touched)")
    op.execute(
        """
        CREATE TABLE registry.flow_draft_piece (
            id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            draft_id UUID NOT NULL,
            field VARCHAR NOT NULL,
            documents JSONB NOT NULL,
            slugs VARCHAR[] NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT flow_draft_piece_pkey PRIMARY KEY (id),
            CONSTRAINT flow_draft_piece_draft_id_fkey FOREIGN KEY(draft_id)
                REFERENCES registry.flow_draft (id) ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX flow_draft_piece_draft_id_idx ON registry.flow_draft_piece (draft_id)")


def downgrade() -> None:
    """Take them away: who was registering in pieces has to begin again."""
    op.execute("DROP TABLE registry.flow_draft_piece")
    op.execute("DROP TABLE registry.flow_draft")
