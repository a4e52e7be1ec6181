-- Of these new runs of schedules, those that must not exist: a person deleted that instant, or an archived version of
-- the group has begun it. An unarchived version is another schedule, and excludes nothing.
-- The race: a person deletes the run, or an agent takes the replaced version's, while ours is being inserted. The
-- insert waits for the first, as the key is the same; make_room waited for the second under the run's lock. This
-- statement comes after both, so it sees their results. The scheduler has the same rule (find_different.sql); otherwise
-- it would propose for ever.
SELECT r.id FROM runs.flow_run r
WHERE r.id = ANY($1::uuid[]) AND (
    EXISTS (
        SELECT FROM runs.deleted_instant d LEFT JOIN registry.flow f ON f.id = d.flow_id
        WHERE d.flow_group_id = r.flow_group_id AND d.start_time = r.scheduled_start_time
            AND d.schedule_hash = r.schedule_hash AND (d.flow_id = r.flow_id OR f.archived)
    ) OR EXISTS (
        SELECT FROM runs.flow_run o JOIN registry.flow f ON f.id = o.flow_id
        WHERE o.flow_group_id = r.flow_group_id AND o.scheduled_start_time = r.scheduled_start_time
            AND o.schedule_hash = r.schedule_hash AND o.flow_id <> r.flow_id
            AND f.archived AND NOT (o.state = 'Scheduled' AND o.version = 1)
    )
)
ORDER BY r.id
