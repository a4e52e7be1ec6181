"""Lazarus: reschedules flow runs whose process is gone, up to ten times.

**Owns** `lazarus.resurrection`, one record per proposal. **Reads** the ledger, when runs were last seen, and the
safeguards of flow groups. **Proposes** to `runs`, over the WORK stream: `Reschedule`, with the version it saw; the
ledger applies it, or answers that the run has changed since.

A flow run is *distressed* when it is Submitted or Running, has no submitted, running or scheduled task run, was last
seen ten minutes ago or more, and its flow has both Lazarus and heartbeats enabled. "Seen" is the newest of its pings
and its own last state: for a run that was given to an agent and never started, the time counts from then. A Running run
must have been guarded by heartbeats from its start: one that began with heartbeats off sends none, and its silence
means nothing.

The tenth resurrection is the last: the next proposal is to fail the run.

A run is found within ten seconds of becoming distressed: a short loop looks at the Submitted runs, and at those that
the heartbeat service announced as silent. Every ten minutes another one looks at all live runs, in case it missed one.
A process whose end its agent reports is not Lazarus' affair: the ledger acts at once.

After an outage many runs are distressed at once. Each tick proposes a bounded number for each tenant, oldest first,
spread at random over the start of the interval, so that they do not delay healthy runs.

* *Killed after the record, before the proposal:* the record is committed only after the proposal is in the stream.
* *Killed after the proposal, before the record:* the next tick proposes the same version again; the ledger refuses the
  second, because the first changed the version.
* *Run twice:* UNIQUE(flow run, version) lets one proposal through, and the version check would refuse the other.
* *A proposal lost with the WORK stream:* the run is still distressed at the same version; after an hour the record is
  proposed again.
* *The heartbeat service was away:* last-seen is stale for all runs, so none is judged until the service has been back
  for one cut-off (its `watch` row has the time since when pings are heard).
* *NATS or PostgreSQL gone, or paused and resumed:* a tick does nothing or everything; times are the database's.

It will not restart task runs, judge runs of flows that opted out, or touch a finished run.

| to change | go to |
|---|---|
| when a run is failed for good | `domain.py` |
| which runs are distressed | `queries/` |
| how proposals are spread | `resurrections.py`, `settings.py` |
| its subscriptions, its loops | `subscribers.py`, `loops.py` |
"""
