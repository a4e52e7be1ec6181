-- The last test of this addressee by this person, if it is under way or ended within $4: the web page sends a mutation
-- again when it was answered with an error, and must get the same answer without a second request to the receiver.
SELECT id FROM automations.delivery
WHERE tenant_id = $1 AND coalesce(action_id, cloud_hook_id) = $2 AND created > now() - interval '1 hour'
    AND (finished IS NULL OR finished > now() - $4::interval)
    AND event -> 'is_test_event' = 'true' AND event ->> 'tested_by' IS NOT DISTINCT FROM $3
ORDER BY created DESC LIMIT 1
