-- The configs whose health changed, of those that an active hook waits for. $1 now (NULL: the database's clock), $2 the
-- silence after which an agent is unhealthy, $3 how old the confirmation may be that gateways are there: agents are only
-- judged if they could be heard during the whole silence. A config becomes known when an agent of it is healthy, so one
-- that was never used, or was dead before, fires nothing. Race: two replicas judge at once: the second waits for the
-- first's row, and its WHERE finds the change made.
WITH at AS (
    SELECT coalesce($1::timestamptz, now()) AS now
), watched AS (
    SELECT DISTINCT h.tenant_id, tag.config::uuid AS agent_config_id
    FROM automations.hook h
    CROSS JOIN LATERAL jsonb_array_elements_text(h.event_tags -> 'agent_config_id') AS tag (config)
    WHERE h.event_type = 'AgentSLAFailedEvent' AND h.is_active
), found AS (
    SELECT
        w.tenant_id, w.agent_config_id,
        array_agg(a.id ORDER BY a.id) FILTER (WHERE a.last_queried > at.now - $2::interval) AS healthy,
        array_agg(a.id ORDER BY a.id) FILTER (WHERE a.last_queried <= at.now - $2::interval) AS unhealthy
    FROM watched w
    CROSS JOIN at
    JOIN runs.agent a ON a.agent_config_id = w.agent_config_id AND a.tenant_id = w.tenant_id
    WHERE a.last_queried IS NOT NULL
    GROUP BY w.tenant_id, w.agent_config_id
), covered AS (
    SELECT EXISTS (
        SELECT FROM heartbeat.watch w, at
        WHERE w.at > at.now - $3::interval AND w.since <= at.now - $2::interval
    ) AS is_covered
), healed AS (
    INSERT INTO automations.agent_sla AS s (agent_config_id, tenant_id, is_healthy, changed)
    SELECT f.agent_config_id, f.tenant_id, true, at.now FROM found f, at WHERE f.healthy IS NOT NULL
    ORDER BY f.agent_config_id
    ON CONFLICT (agent_config_id) DO UPDATE SET is_healthy = true, changed = excluded.changed WHERE NOT s.is_healthy
    RETURNING s.agent_config_id, s.tenant_id, s.is_healthy, s.changed
), broken AS (
    UPDATE automations.agent_sla s SET is_healthy = false, changed = at.now
    FROM found f, covered, at
    WHERE s.agent_config_id = f.agent_config_id AND s.tenant_id = f.tenant_id AND f.healthy IS NULL
        AND s.is_healthy AND covered.is_covered
    RETURNING s.agent_config_id, s.tenant_id, s.is_healthy, s.changed
)
SELECT c.agent_config_id, c.tenant_id, c.is_healthy, c.changed, f.healthy, f.unhealthy, t.slug AS tenant_slug
FROM (SELECT * FROM healed UNION ALL SELECT * FROM broken) c
JOIN found f ON f.agent_config_id = c.agent_config_id AND f.tenant_id = c.tenant_id
JOIN gateway.tenant t ON t.id = c.tenant_id
