"""A pause of a tenant's work queue that holds from its commit on.

Revision ID: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add when a queue was resumed, and the question that every claim asks.

    A claim holds a shared advisory lock until it commits, and a pause takes the exclusive one. So a pause waits for the
    claims under way, and later ones see it: the function is volatile, so that each of its statements has a snapshot of
    its own, and reads the setting after it has the lock. It never waits: claims hold runs when they ask, and a pause
    that is being written counts as one. An advisory lock writes nothing, unlike a share lock on the tenant's row.
    """
    op.execute("ALTER TABLE gateway.tenant ADD COLUMN work_queue_resumed TIMESTAMP WITH TIME ZONE")
    op.execute(
        """
        CREATE FUNCTION gateway.work_queue_is_open(tenant uuid) RETURNS boolean
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS
        $$
        BEGIN
            IF NOT pg_try_advisory_xact_lock_shared(hashtext('gateway.work_queue'), hashtext(tenant::text)) THEN
                RETURN false;
            END IF;
            RETURN NOT EXISTS (
                SELECT FROM gateway.tenant t WHERE t.id = tenant AND t.settings -> 'work_queue_paused' = 'true'
            );
        END
        $$
        """
    )


def downgrade() -> None:
    """Take both away; a paused queue is open again."""
    op.execute("DROP FUNCTION gateway.work_queue_is_open(uuid)")
    op.execute("ALTER TABLE gateway.tenant DROP COLUMN work_queue_resumed")
