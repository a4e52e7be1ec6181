-- The peer's runs that have not finished. A planned one is an instant of a schedule that is still to come, untouched.
SELECT id, auto_scheduled AND state = 'Scheduled' AND version <= 1 AND scheduled_start_time > now() AS planned
FROM public.flow_run
WHERE NOT coalesce(state = ANY($1::text[]), false)
ORDER BY created DESC, id
