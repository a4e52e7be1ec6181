-- Forget deadlines, at most $1, of runs that have finished or are gone. One that fired has to be kept until then, so that
-- it does not fire again.
DELETE FROM automations.sla_deadline WHERE id IN (
    SELECT d.id FROM automations.sla_deadline d
    LEFT JOIN runs.flow_run r ON r.id = d.flow_run_id
    WHERE r.id IS NULL OR r.state NOT IN (
        'Scheduled', 'Paused', 'Queued', 'Resume', 'Retrying', 'Submitted', 'Running', 'Cancelling', 'Pending',
        'ClientFailed'
    )
    LIMIT $1
)
