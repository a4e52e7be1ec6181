-- Since when pings are heard without a gap up to this moment; no row when they are not.
SELECT since FROM heartbeat.watch WHERE now() - at BETWEEN interval '0' AND $1::interval
