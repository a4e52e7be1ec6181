-- One partition for all history before the first weekly one; retention knows only the weekly ones by their names.
DO $$
DECLARE
    parent text;
    first timestamptz;
BEGIN
    FOREACH parent IN ARRAY ARRAY['flow_run_state', 'task_run_state', 'log'] LOOP
        CONTINUE WHEN to_regclass(format('runs.%I', parent || '_imported')) IS NOT NULL;
        SELECT min(to_date(right(c.relname, 6), 'IYYYIW')) INTO STRICT first
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = format('runs.%I', parent)::regclass AND c.relname ~ ('^' || parent || '_w[0-9]{6}$');
        EXECUTE format('CREATE TABLE runs.%I PARTITION OF runs.%I FOR VALUES FROM (MINVALUE) TO (%L)',
            parent || '_imported', parent, first);
    END LOOP;
END
$$
