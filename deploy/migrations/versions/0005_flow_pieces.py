"""Pieces of a flow that wait to be joined to its document, and the way to the versions that are not archived.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, empty but for the seconds in which a large flow is registered, and the index."""
    op.execute(
        """
        CREATE TABLE registry.flow_piece (
            id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            flow_id UUID NOT NULL,
            field VARCHAR NOT NULL,
            documents VARCHAR NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT flow_piece_pkey PRIMARY KEY (id),
            CONSTRAINT flow_piece_flow_id_fkey FOREIGN KEY(flow_id) REFERENCES registry.flow (id) ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX flow_piece_flow_id_idx ON registry.flow_piece (flow_id)")
    op.execute(
        "CREATE INDEX flow_unarchived_idx ON registry.flow (flow_group_id) WHERE NOT archived"
    )


def downgrade() -> None:
    """Join what waits, then take it away."""
    op.execute(
        """
        WITH joined AS (
            SELECT flow_id, field, ('[' || string_agg(documents, ',' ORDER BY created, id) || ']')::jsonb AS documents
            FROM registry.flow_piece GROUP BY flow_id, field
        ), pieces AS (
            SELECT f.id, jsonb_object_agg(
                j.field, coalesce(nullif(f.serialized_flow -> j.field, 'null'), '[]') || j.documents
            ) AS fields
            FROM joined j JOIN registry.flow f ON f.id = j.flow_id GROUP BY f.id
        )
        UPDATE registry.flow f SET serialized_flow = f.serialized_flow || pieces.fields
        FROM pieces WHERE f.id = pieces.id
        """
    )
    op.execute("DROP TABLE registry.flow_piece")
    op.execute("DROP INDEX registry.flow_unarchived_idx")
