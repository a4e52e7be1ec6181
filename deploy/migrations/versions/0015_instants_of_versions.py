"""Scheduled runs are keyed by the flow version, not by its group; what people deleted stays away.

The rows stay as they are: a key that was unique for a group is unique for each of its versions. The release before
inserts with ON CONFLICT DO NOTHING on any key, and fills none of the new columns; the next tick of this one does. While
both run, the old one may make an instant that a version it archived in the seconds before had already handed out.

Reading and writing runs wait while the index is made: some seconds a million scheduled runs.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Exchange the key, add the tombstones, and let the scheduler remember what it said."""
    # First what needs the strongest lock: taken after a weaker one, it could wait for who waits for us.
    op.execute("DROP INDEX runs.flow_run_instant_key")
    op.execute(
        "CREATE UNIQUE INDEX flow_run_version_instant_key"
        " ON runs.flow_run (flow_group_id, scheduled_start_time, schedule_hash, flow_id)"
        " WHERE schedule_hash IS NOT NULL"
    )
    op.execute(
        """
        CREATE TABLE runs.deleted_instant (
            flow_group_id UUID NOT NULL,
            start_time TIMESTAMP WITH TIME ZONE NOT NULL,
            schedule_hash VARCHAR NOT NULL,
            flow_id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            deleted TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT deleted_instant_pkey PRIMARY KEY (flow_group_id, start_time, schedule_hash, flow_id)
        )
        """
    )
    op.execute("CREATE INDEX deleted_instant_flow_id_idx ON runs.deleted_instant (flow_id)")
    op.execute(
        """
        ALTER TABLE scheduler.schedule
            ADD COLUMN planned JSONB DEFAULT '[]'::jsonb NOT NULL,
            ADD COLUMN checksum BIGINT DEFAULT 0 NOT NULL,
            ADD COLUMN inputs VARCHAR DEFAULT '' NOT NULL,
            ADD COLUMN required JSONB DEFAULT '[]'::jsonb NOT NULL,
            ADD COLUMN cleared TIMESTAMP WITH TIME ZONE,
            ADD COLUMN reason VARCHAR
        """
    )


def downgrade() -> None:
    """Back to the key of the group. Where two versions share an instant, the younger run is kept under another hash."""
    op.execute(
        "ALTER TABLE scheduler.schedule DROP COLUMN planned, DROP COLUMN checksum, DROP COLUMN inputs,"
        " DROP COLUMN required, DROP COLUMN cleared, DROP COLUMN reason"
    )
    op.execute("DROP TABLE runs.deleted_instant")
    op.execute(
        """
        UPDATE runs.flow_run r SET schedule_hash = r.schedule_hash || '@' || r.flow_id
        WHERE r.schedule_hash IS NOT NULL AND EXISTS (
            SELECT FROM runs.flow_run o
            WHERE o.flow_group_id = r.flow_group_id AND o.scheduled_start_time = r.scheduled_start_time
                AND o.schedule_hash = r.schedule_hash AND o.id < r.id
        )
        """
    )
    op.execute("DROP INDEX runs.flow_run_version_instant_key")
    op.execute(
        "CREATE UNIQUE INDEX flow_run_instant_key ON runs.flow_run (flow_group_id, scheduled_start_time, schedule_hash)"
        " WHERE schedule_hash IS NOT NULL"
    )
