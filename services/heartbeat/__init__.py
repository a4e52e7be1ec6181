"""The heartbeat service: finds each run whose process died two minutes after its last ping, and no live run.

**Owns** `heartbeat.last_seen` (a row says that the run is guarded, and when it was last heard), `task_last_seen`,
`zombie` (what was announced; kept until seven days after the run's end) and `watch` (since when some replica hears
pings). **Reads** the ledger and the safeguards of flow groups. **Emits** `FlowRunZombieDetected`; the ledger decides
what happens to the run.

A ping is a core NATS message. Every replica receives every ping and remembers when it heard each run last:

    ping --> listener --> LastHeard --(silent for two minutes)--> judge --> zombie event
                              |                                     ^
                              +--> last_seen (coarse; exact once a run is late) <-- sweep --> zombie event

* A run is *guarded* from its Running state on, if its flow has heartbeats enabled at that time; the setting holds for
  future runs. Only guarded runs are in memory, some 300 bytes each.
* A run is known by its **tenant and id** together. A ping of another tenant for it is a ping of an unknown run.
* A Submitted run has no process yet, so Lazarus handles its silence. A finished run is dropped and never changed.
* Before the announcement the tables are read: is it still running, and did another replica hear it? A row is written
  about once a minute while its run pings. When a run has missed a ping, the replicas that heard its last ping write the
  time of it. So a row of a living run is younger than the silence, and one of a dead run is exact.
* A slow sweep over the tables finds guarded runs that are in no replica's memory: the replica was killed before their
  first ping.

Silence alone proves nothing. *Coverage* is the time over which a process could receive pings:

* A process that has just started, was stopped, was away from NATS, did not keep up, heard no gateway or could not
  confirm its coverage in the table for 20 s (`watch`) starts a new coverage, and judges no run for one silence. A
  process that starts counts every run of the table as heard at its start. So our own outage delays the detection of a
  zombie by one silence at most, and never makes a zombie of a live run. After a clock of the database that went back,
  signs of life in the future are set to the present; otherwise they would hide dead runs.
* *All are silent.* When fewer than half of a tenant's guarded runs ping, the fault is likely between them and us (a
  load balancer, a network). Its silences are held back and reported; a run that is silent for another whole period is
  announced. Tenants of few runs are judged together. So no tenant's outage delays another's zombies.
* *A tenant floods.* A tenant that pings many times faster than its runs can (`ping_budget`) is unsubscribed for a part
  of an interval, again and again: the broker then sends no pings of it, while the others have subscriptions of their
  own. Its runs count as heard meanwhile, so its dead runs are not found until the flood ends.

Killed at any time: memory is filled from the table at the next start; record and event are one transaction. Two
replicas, or one and the sweep, announce a run once per version and last sign of life. NATS gone: no pings arrive, and
coverage starts anew. PostgreSQL gone: pings are still received, rows wait, and coverage starts anew.

What it does not do: fail a run, count missed pings, or judge task runs (Core below 0.15.4 pings for them; these are
only shown). A flood by so many tenants at once that it cannot be read in time is an outage (`obstacles`).

| to change | go to |
|---|---|
| when a silent run is a zombie | `domain/judgement.py` |
| which silences are held back when many are silent | `domain/mass_silence.py` |
| how many pings a tenant may send | `domain/ping_budget.py` |
| when this process may judge | `domain/coverage.py` |
| what is remembered, and when rows are due | `domain/last_heard.py` |
| what it listens to | `subscribers.py`, `listener.py` |
| its loops and their intervals | `loops.py`, `settings.py` |
| what is read and written | `store.py`, `queries/` |
"""
