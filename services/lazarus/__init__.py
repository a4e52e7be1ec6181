"""Lazarus: flow runs whose process is gone come back, up to ten times.

**Owns** `lazarus.resurrection`, one record per proposal. **Reads** the ledger, when runs were last seen, and the
safeguards of flow groups. **Proposes** to `runs`, over the WORK stream: `Reschedule`, with the version it saw; the
ledger applies it, or answers that the run has moved on.

A flow run is *distressed* when it is Submitted or Running, has no submitted, running or scheduled task run, was last
seen ten minutes ago or more, and its flow has both Lazarus and heartbeats enabled. "Seen" is the newest of its pings
and its own last state: a run that was handed to an agent and never started counts from then. A Running run must have
been guarded by heartbeats from its start: one that began with heartbeats off sends none, and its silence says nothing.

Its tenth resurrection is the last: the proposal after it is to give the run up.

After an outage many runs are distressed at once. Each tick proposes at most so many per tenant, oldest first, spread
at random over the start of the interval, so that healthy work keeps its place in the queue.

* *Killed after the record, before the proposal:* the record is committed only after the proposal is in the stream.
* *Killed after the proposal, before the record:* the next tick proposes the same version again; the ledger refuses the
  second, because the first moved the version on.
* *Run twice:* UNIQUE(flow run, version) makes one of two proposals, and the version guard would refuse the other.
* *A proposal lost with the WORK stream:* the run is still distressed at the same version; after an hour the record is
  proposed again.
* *The heartbeat service was away:* last-seen is stale for everybody, so nobody is judged until it has been back for
  one cut-off (its `watch` row says since when it hears).
* *NATS or PostgreSQL gone, or paused and resumed:* a tick does nothing or everything; times are the database's.

It will not restart task runs, judge runs of flows that opted out, or touch a finished run.

| to change | go to |
|---|---|
| when a run is given up | `domain.py` |
| which runs are distressed | `queries/` |
| how proposals are spread | `resurrections.py`, `settings.py` |
| what it listens to, what it does by itself | `subscribers.py`, `loops.py` |
"""
