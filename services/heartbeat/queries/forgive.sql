-- The database's clock went back: signs of life that lie in the future would hide the dead until it gets there again,
-- and no ping would replace them. They become as old as the watch that begins now.
UPDATE heartbeat.last_seen SET at = now() WHERE at > now()
