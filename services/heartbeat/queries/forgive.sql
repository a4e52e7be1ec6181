-- The database's clock went back: signs of life in the future would hide dead runs until the clock gets there again,
-- and no ping would replace them. They get the time of the watch that begins now.
UPDATE heartbeat.last_seen SET at = now() WHERE at > now()
