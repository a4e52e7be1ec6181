-- The md5 of the schedule that each flow follows now, as the scheduler computes it (claim_stale.sql); '' for none.
SELECT f.id, CASE WHEN f.is_schedule_active AND NOT f.archived
    THEN coalesce(md5(coalesce(nullif(g.schedule, 'null'), nullif(f.schedule, 'null'))::text), '') ELSE '' END AS seen
FROM registry.flow f JOIN registry.flow_group g ON g.id = f.flow_group_id
WHERE f.id = ANY($1::uuid[])
