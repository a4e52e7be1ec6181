-- Flows whose planned runs differ from the proposals: some are missing (a message was lost, rows were deleted by hand),
-- or there are more (the message that clears them was lost). Proposals of the last $2 may still be under way. Runs that
-- are absent on purpose are not missing: the ledger has the same rule (barred_instants.sql).
-- Nearly all are equal, which a checksum of their keys shows (settle.sql); the others are compared key by key. A row
-- with an instant that has passed is left to the next tick. A schedule that cannot be parsed ($3) is left out. OFFSET
-- and LIMIT keep PostgreSQL from reading whole histories: it expects many doubtful rows, and there are few. Nothing is
-- locked: a flow that differs is claimed afterwards, and checked again.
WITH doubtful AS MATERIALIZED (
    SELECT s.flow_id, s.flow_group_id, s.planned, coalesce(s.cleared < $1 - $2::interval, true) AS may_be_cleared
    FROM scheduler.schedule s
    CROSS JOIN LATERAL (
        SELECT coalesce(bit_xor(hashtextextended(
            r.schedule_hash, extract(epoch FROM r.scheduled_start_time)::bigint
        )), 0) AS checksum
        FROM runs.flow_run r
        WHERE r.flow_group_id = s.flow_group_id AND r.flow_id = s.flow_id AND r.scheduled_start_time > $1
            AND r.schedule_hash IS NOT NULL
    ) there
    WHERE s.active AND s.next_due > $1 AND NOT starts_with(coalesce(s.reason, ''), $3)
        AND there.checksum <> s.checksum
), said AS MATERIALIZED (
    SELECT s.flow_id, s.flow_group_id, (p ->> 0)::timestamptz AS start, p ->> 1 AS hash, (p ->> 2)::timestamptz AS at
    FROM doubtful s, jsonb_array_elements(s.planned) p
    WHERE (p ->> 0)::timestamptz > $1
), there AS MATERIALIZED (
    SELECT r.flow_id, r.scheduled_start_time AS start, r.schedule_hash AS hash,
           r.state = 'Scheduled' AND r.version = 1 AND s.may_be_cleared AS in_the_way
    FROM doubtful s
    CROSS JOIN LATERAL (
        SELECT * FROM runs.flow_run r
        WHERE r.flow_group_id = s.flow_group_id AND r.flow_id = s.flow_id AND r.scheduled_start_time > $1
            AND r.schedule_hash IS NOT NULL
        OFFSET 0
    ) r
), missing AS MATERIALIZED (
    SELECT * FROM said WHERE at < $1 - $2::interval
    AND NOT EXISTS (
        SELECT FROM there t WHERE t.flow_id = said.flow_id AND t.start = said.start AND t.hash = said.hash
    )
)
SELECT m.flow_id FROM missing m
WHERE (
        SELECT true FROM runs.deleted_instant d LEFT JOIN registry.flow f ON f.id = d.flow_id
        WHERE d.flow_group_id = m.flow_group_id AND d.start_time = m.start AND d.schedule_hash = m.hash
            AND (d.flow_id = m.flow_id OR f.archived)
        LIMIT 1
    ) IS NULL
    AND (
        SELECT true FROM runs.flow_run r JOIN registry.flow f ON f.id = r.flow_id
        WHERE r.flow_group_id = m.flow_group_id AND r.scheduled_start_time = m.start AND r.schedule_hash = m.hash
            AND f.archived AND NOT (r.state = 'Scheduled' AND r.version = 1)
        LIMIT 1
    ) IS NULL
UNION
SELECT t.flow_id FROM there t
WHERE t.in_the_way AND NOT EXISTS (
    SELECT FROM said WHERE said.flow_id = t.flow_id AND said.start = t.start AND said.hash = t.hash
)
