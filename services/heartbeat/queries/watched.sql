-- Since when some replica hears pings, without a gap until now; no row when none does.
SELECT since FROM heartbeat.watch WHERE now() - at BETWEEN interval '0' AND $1::interval
