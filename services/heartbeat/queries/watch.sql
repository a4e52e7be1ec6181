-- Confirm that pings are heard. After a gap of more than $1 (no confirmation: outage, restart, pause, or a clock that
-- jumped) coverage starts anew. Race: replicas confirm at once; the row lock orders them, and each writes the same.
INSERT INTO heartbeat.watch AS w (id, since, at) VALUES (1, now(), now())
ON CONFLICT (id) DO UPDATE
    SET since = CASE WHEN now() - w.at BETWEEN interval '0' AND $1::interval THEN w.since ELSE now() END, at = now()
RETURNING since = now()
