-- Delete finished deliveries that are older than we keep, with their tries. Pending ones stay.
DELETE FROM automations.delivery WHERE id IN (
    SELECT id FROM automations.delivery
    WHERE created < coalesce($1::timestamptz, now()) - $2::interval AND status <> 'pending'
    ORDER BY created LIMIT $3 FOR UPDATE SKIP LOCKED
)
