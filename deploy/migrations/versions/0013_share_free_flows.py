"""A way to lock flows against archiving without waiting for who is just changing them.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the function, beside `share_flows`, which waits. A definer function for the same reason.

    Claims hold runs when they lock flows, and the ledger's batches the other way round: neither may wait for the other.
    """
    op.execute(
        """
        CREATE FUNCTION registry.share_free_flows(flow_ids uuid[])
            RETURNS TABLE (id uuid, archived boolean)
            LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
        $$
            SELECT f.id, f.archived FROM registry.flow f
            WHERE f.id = ANY (flow_ids) ORDER BY f.id FOR SHARE SKIP LOCKED
        $$
        """
    )


def downgrade() -> None:
    """Take it away."""
    op.execute("DROP FUNCTION registry.share_free_flows(uuid[])")
