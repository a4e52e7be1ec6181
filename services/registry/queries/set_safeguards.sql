-- Set safeguards of a flow's group and of all its versions, which show them to clients. The race: two operators set
-- different safeguards at once, or one does while a version is registered. `||` changes only the named keys of the
-- current row, so neither is lost; a registration holds the group's row, so its version is either updated here or
-- copies what is set here. The time at which heartbeats were switched on is stored: a run that began before sends no
-- pings, and must not be judged by them.
WITH changed AS (
    UPDATE registry.flow_group g
    SET settings = g.settings || $3, updated = clock_timestamp(),
        heartbeats_since = CASE
            WHEN g.settings @> '{"heartbeat_enabled": false}' AND $3 @> '{"heartbeat_enabled": true}'
            THEN clock_timestamp() ELSE g.heartbeats_since
        END
    FROM registry.flow f
    WHERE f.id = $1 AND f.tenant_id = $2 AND g.id = f.flow_group_id AND g.tenant_id = $2
    RETURNING g.id
)
SELECT id FROM changed
