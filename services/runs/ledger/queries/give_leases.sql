-- Write the first leases of claimed runs. The rows are locked by claim.sql, in this transaction.
UPDATE runs.flow_run r
SET lease_token = given.token, agent_id = given.agent_id, attempt = given.attempt, lease_expires = now() + {lease}::interval
FROM {given}
WHERE r.id = given.id
