"""Hooks, actions, SLAs with their deadlines, deliveries with their attempts.

Long: statements that make tables that belong together; there is nothing to take apart.

Revision ID: 0023
Revises: 0022
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; the release before knows none of them."""
    _make_rules()
    _make_slas()
    _make_deliveries()
    # A missed deadline is decided while the run cannot move, and only the ledger's role may lock its rows. A run that
    # is just being moved is left out, so neither waits for the other.
    op.execute(
        """
        CREATE FUNCTION runs.share_free_flow_runs(flow_run_ids uuid[])
            RETURNS TABLE (id uuid, state text, version int)
            LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
        $$
            SELECT r.id, r.state::text, r.version FROM runs.flow_run r
            WHERE r.id = ANY (flow_run_ids) ORDER BY r.id FOR SHARE SKIP LOCKED
        $$
        """
    )


def _make_rules() -> None:
    """What leads to an action, and what is done."""
    op.execute(
        """
        CREATE TABLE automations.ruleset (
            tenant_id UUID NOT NULL,
            version BIGINT DEFAULT 0 NOT NULL,
            swept TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT ruleset_pkey PRIMARY KEY (tenant_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE automations.action (
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            tenant_id UUID NOT NULL,
            name VARCHAR,
            action_type VARCHAR NOT NULL,
            action_config JSONB DEFAULT '{}'::jsonb NOT NULL,
            sealed BYTEA,
            created_by UUID,
            CONSTRAINT action_pkey PRIMARY KEY (id)
        )
        """
    )
    op.execute("CREATE INDEX action_tenant_id_idx ON automations.action (tenant_id)")
    op.execute(
        """
        CREATE TABLE automations.hook (
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            tenant_id UUID NOT NULL,
            name VARCHAR,
            event_type VARCHAR NOT NULL,
            event_tags JSONB DEFAULT '{}'::jsonb NOT NULL,
            conditions JSONB DEFAULT '{}'::jsonb NOT NULL,
            is_active BOOLEAN DEFAULT true NOT NULL,
            action_id UUID NOT NULL,
            created_by UUID,
            CONSTRAINT hook_pkey PRIMARY KEY (id),
            CONSTRAINT hook_action_id_fkey FOREIGN KEY(action_id) REFERENCES automations.action (id) ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX hook_action_id_idx ON automations.hook (action_id)")
    op.execute("CREATE INDEX hook_tenant_id_idx ON automations.hook (tenant_id)")


def _make_slas() -> None:
    """SLAs, and who breaks them when."""
    op.execute(
        """
        CREATE TABLE automations.flow_sla_config (
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            tenant_id UUID NOT NULL,
            kind VARCHAR NOT NULL,
            duration_seconds INTEGER NOT NULL,
            CONSTRAINT flow_sla_config_pkey PRIMARY KEY (id),
            CONSTRAINT flow_sla_config_kind_is_known_check
                CHECK (kind IN ('SCHEDULED_NOT_STARTED', 'STARTED_NOT_FINISHED')),
            CONSTRAINT flow_sla_config_duration_is_positive_check CHECK (duration_seconds > 0)
        )
        """
    )
    op.execute(
        "CREATE INDEX flow_sla_config_tenant_id_idx ON automations.flow_sla_config (tenant_id)"
    )
    op.execute(
        """
        CREATE TABLE automations.flow_group_sla (
            id UUID NOT NULL,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            tenant_id UUID NOT NULL,
            flow_sla_config_id UUID NOT NULL,
            flow_group_id UUID NOT NULL,
            CONSTRAINT flow_group_sla_pkey PRIMARY KEY (id),
            CONSTRAINT flow_group_sla_flow_sla_config_id_fkey
                FOREIGN KEY(flow_sla_config_id) REFERENCES automations.flow_sla_config (id) ON DELETE CASCADE,
            CONSTRAINT flow_group_sla_flow_sla_config_id_flow_group_id_key UNIQUE (flow_sla_config_id, flow_group_id)
        )
        """
    )
    op.execute(
        "CREATE INDEX flow_group_sla_flow_group_id_idx"
        " ON automations.flow_group_sla (flow_group_id)"
    )
    op.execute(
        """
        CREATE TABLE automations.sla_deadline (
            id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            flow_sla_config_id UUID NOT NULL,
            flow_run_id UUID NOT NULL,
            attempt INTEGER NOT NULL,
            run_version INTEGER NOT NULL,
            due TIMESTAMP WITH TIME ZONE NOT NULL,
            fired TIMESTAMP WITH TIME ZONE,
            CONSTRAINT sla_deadline_pkey PRIMARY KEY (id),
            CONSTRAINT sla_deadline_flow_sla_config_id_fkey
                FOREIGN KEY(flow_sla_config_id) REFERENCES automations.flow_sla_config (id) ON DELETE CASCADE,
            CONSTRAINT sla_deadline_flow_sla_config_id_flow_run_id_attempt_key
                UNIQUE (flow_sla_config_id, flow_run_id, attempt)
        )
        """
    )
    op.execute(
        "CREATE INDEX sla_deadline_due_idx ON automations.sla_deadline (due) WHERE fired IS NULL"
    )
    op.execute(
        "CREATE INDEX sla_deadline_flow_run_id_idx ON automations.sla_deadline (flow_run_id)"
    )
    op.execute(
        """
        CREATE TABLE automations.agent_sla (
            agent_config_id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            is_healthy BOOLEAN NOT NULL,
            changed TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT agent_sla_pkey PRIMARY KEY (agent_config_id)
        )
        """
    )


def _make_deliveries() -> None:
    """What is owed, and what came of it."""
    op.execute(
        """
        CREATE TABLE automations.delivery (
            id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            action_id UUID,
            hook_id UUID,
            cloud_hook_id UUID,
            event_id UUID NOT NULL,
            event_type VARCHAR NOT NULL,
            event JSONB NOT NULL,
            dedup VARCHAR NOT NULL,
            chain JSONB DEFAULT '[]'::jsonb NOT NULL,
            status VARCHAR DEFAULT 'pending' NOT NULL,
            attempts INTEGER DEFAULT 0 NOT NULL,
            due TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            lease UUID,
            leased_until TIMESTAMP WITH TIME ZONE,
            receiver VARCHAR,
            last_error VARCHAR,
            created TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            finished TIMESTAMP WITH TIME ZONE,
            CONSTRAINT delivery_pkey PRIMARY KEY (id),
            CONSTRAINT delivery_dedup_key UNIQUE (dedup),
            CONSTRAINT delivery_status_is_known_check
                CHECK (status IN ('pending', 'delivered', 'failed', 'muted', 'switched_off')),
            CONSTRAINT delivery_one_addressee_check CHECK (action_id IS NULL OR cloud_hook_id IS NULL)
        )
        """
    )
    op.execute("CREATE INDEX delivery_created_idx ON automations.delivery (created)")
    op.execute("CREATE INDEX delivery_event_id_idx ON automations.delivery (event_id)")
    op.execute(
        "CREATE INDEX delivery_due_idx ON automations.delivery (due) WHERE status = 'pending'"
    )
    op.execute(
        "CREATE INDEX delivery_tenant_created_idx ON automations.delivery (tenant_id, created DESC)"
    )
    op.execute(
        """
        CREATE TABLE automations.delivery_attempt (
            id UUID NOT NULL,
            delivery_id UUID NOT NULL,
            tenant_id UUID NOT NULL,
            number INTEGER NOT NULL,
            started TIMESTAMP WITH TIME ZONE NOT NULL,
            latency_ms INTEGER NOT NULL,
            status INTEGER,
            answer VARCHAR,
            error VARCHAR,
            CONSTRAINT delivery_attempt_pkey PRIMARY KEY (id),
            CONSTRAINT delivery_attempt_delivery_id_fkey
                FOREIGN KEY(delivery_id) REFERENCES automations.delivery (id) ON DELETE CASCADE,
            CONSTRAINT delivery_attempt_delivery_id_number_key UNIQUE (delivery_id, number)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE automations.receiver (
            tenant_id UUID NOT NULL,
            host VARCHAR NOT NULL,
            failures INTEGER DEFAULT 0 NOT NULL,
            opened_until TIMESTAMP WITH TIME ZONE,
            CONSTRAINT receiver_pkey PRIMARY KEY (tenant_id, host)
        )
        """
    )


def downgrade() -> None:
    """Take them away, with the deliveries that are owed."""
    op.execute("DROP FUNCTION runs.share_free_flow_runs(uuid[])")
    for table in (
        "receiver", "delivery_attempt", "delivery", "agent_sla", "sla_deadline", "flow_group_sla", "flow_sla_config",
        "hook", "action", "ruleset",
    ):  # fmt: skip
        op.execute(f"DROP TABLE automations.{table}")
