"""The heartbeat service: a run whose process died is found two minutes after its last ping, and nobody else is.

**Owns** `heartbeat.last_seen` (a row says: this run is guarded, and was last heard then), `task_last_seen`, `zombie`
(what was announced) and `watch` (since when some replica hears pings). **Reads** the ledger and the safeguards of flow
groups. **Emits** `FlowRunZombieDetected`; what becomes of the run is the ledger's to decide.

A ping is a core NATS message. Every replica hears every ping and remembers whom it heard last when:

    ping --> listener --> LastHeard --(silent for two minutes)--> judge --> zombie event
                              |                                     ^
                              +--> last_seen (coarse; exact once a run is late) <-- sweep --> zombie event

* A run is *guarded* from its Running state on, if its flow has heartbeats enabled at that moment; the setting holds
  for future runs. Only guarded runs are in memory, some 300 bytes each.
* A run is known by its **tenant and id** together. What another tenant says of it is a ping of a run that is not there.
* A Submitted run has no process yet, so its silence is Lazarus' case. A finished run is dropped and never touched.
* Before the announcement the tables are asked: is it still running, and did another replica hear it? A row is written
  about once a minute while its run pings. When a run has missed a ping, the replicas that heard the last one write down
  when that was. So a row of a living run is younger than the silence, and one of a dead run is exact.
* A slow sweep over the tables finds guarded runs that no memory holds: who waited for them was killed before their
  first ping.

Silence is not death until proven. *Coverage* says over which time a process was in a position to hear:

* A process that has just started, was stopped, was away from NATS, did not keep up, heard no gateway or could not
  confirm it in the table for 20 s (`watch`) begins to count anew, and judges nobody for one silence. A process that
  starts counts every run of the table as heard at its start. So an outage of ours delays a zombie by one silence at
  most, and never makes one. After a clock of the database that went back, signs of life that lie in the future are set
  to the present, or they would hide the dead.
* *Everybody is silent.* When fewer than half of a tenant's guarded runs ping, the fault is likely between them and us
  (a load balancer, a network). Its silences are held and reported; what is silent for another whole period is
  announced. Tenants of few runs are judged together. So no tenant's outage delays another's zombies.
* *A tenant floods.* Who pings many times faster than its runs can (`ping_budget`) is not heard for a part of an
  interval, again and again: the broker sends its pings no more, while others are heard by subscriptions of their own.
  Its runs count as heard meanwhile, so of its dead ones none is found until the flood ends.

Killed at any moment: memory is filled from the table at the next start; record and event are one transaction. Two
replicas, or one and the sweep, announce a run once per version and last sign of life. NATS gone: nobody is heard, and
coverage begins anew. PostgreSQL gone: hearing goes on, rows wait, and coverage begins anew.

What it does not do: fail a run, count missed pings, or judge task runs (Core below 0.15.4 pings for them; it is shown).
A flood by so many tenants at once that it cannot be read in time is an outage (`obstacles`).

| to change | go to |
|---|---|
| when a silent run is a zombie | `domain/judgement.py` |
| whose silences are held when many are silent | `domain/mass_silence.py` |
| how many pings a tenant may send | `domain/ping_budget.py` |
| when we are entitled to judge | `domain/coverage.py` |
| what is remembered, and when rows are due | `domain/last_heard.py` |
| what it listens to | `subscribers.py`, `listener.py` |
| what it does by itself, and how often | `loops.py`, `settings.py` |
| what is read and written | `store.py`, `queries/` |
"""
