-- Take slots of limits that the caller has locked and counted (lock_limits.sql, slots_in_use.sql).
INSERT INTO runs.concurrency_slot (limit_id, run_id, flow_run_id, tenant_id, taken)
SELECT taken.*, {at} FROM {taken}
