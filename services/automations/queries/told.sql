-- Say of the counted events $1 which delivery ($2, side by side) tells of them. The lock of their hook is held.
UPDATE automations.delivery d SET told_in = t.told_in
FROM unnest($1::uuid[], $2::uuid[]) AS t (id, told_in)
WHERE d.id = t.id
