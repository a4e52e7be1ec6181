-- Take due deliveries for a worker, at most $4 of them, each addressee's at most as many as it has room for.
-- The race: several replicas take at the same time. FOR UPDATE SKIP LOCKED gives each row to one of them, and whoever
-- comes later reads a row that is no longer due. A worker that dies leaves rows that are due again when its lease
-- ends: `due` moves with the lease, so that the index over due rows holds no leased ones.
-- $5 are addressees whose room is used up and $6 tenants; $7 and $8 say how much room other busy ones have left, $9
-- how much one has that is not busy. A backlog of one addressee is passed over after its first rows have been taken.
WITH candidate AS MATERIALIZED (
    SELECT c.id, row_number() OVER (PARTITION BY c.addressee ORDER BY c.due, c.id) AS position, c.addressee
    FROM (
        SELECT d.id, d.due, coalesce(d.action_id, d.cloud_hook_id, d.id) AS addressee
        FROM automations.delivery d
        WHERE d.status = 'pending' AND d.due <= coalesce($1::timestamptz, now())
            AND coalesce(d.action_id, d.cloud_hook_id, d.id) <> ALL ($5::uuid[])
            AND d.tenant_id <> ALL ($6::uuid[])
        ORDER BY d.due, d.id LIMIT $4 * 4
    ) c
), taken AS MATERIALIZED (
    SELECT d.id FROM automations.delivery d
    JOIN candidate c ON c.id = d.id
    LEFT JOIN unnest($7::uuid[], $8::int[]) AS busy (addressee, room) ON busy.addressee = c.addressee
    WHERE c.position <= coalesce(busy.room, $9)
        AND d.status = 'pending' AND d.due <= coalesce($1::timestamptz, now())
    ORDER BY d.due, d.id LIMIT $4 FOR UPDATE OF d SKIP LOCKED
), leased AS (
    UPDATE automations.delivery d
    SET lease = $2, leased_until = coalesce($1::timestamptz, now()) + $3::interval,
        due = coalesce($1::timestamptz, now()) + $3::interval
    FROM taken t WHERE d.id = t.id
    RETURNING d.*
)
SELECT l.id, l.tenant_id, l.action_id, l.cloud_hook_id, l.event_type, l.event, l.dedup, l.chain, l.attempts,
    l.hook_id, l.receiver, l.lease, l.event_id, coalesce($1::timestamptz, now()) - l.created AS age,
    a.action_type, a.action_config, a.sealed, coalesce(h.created_by, a.created_by) AS created_by, c.type AS cloud_hook_type, c.config AS cloud_hook_config,
    c.active AS cloud_hook_is_active, t.slug
FROM leased l
LEFT JOIN automations.action a ON a.id = l.action_id AND a.tenant_id = l.tenant_id
LEFT JOIN automations.hook h ON h.id = l.hook_id AND h.tenant_id = l.tenant_id
LEFT JOIN gateway.cloud_hook c ON c.id = l.cloud_hook_id AND c.tenant_id = l.tenant_id
LEFT JOIN gateway.tenant t ON t.id = l.tenant_id
