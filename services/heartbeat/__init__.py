"""The heartbeat service: a run whose process died is found two minutes after its last ping, and nobody else is.

**Owns** `heartbeat.last_seen` (a row says: this run is guarded, and was last heard then), `task_last_seen`, `zombie`
(what was announced) and `watch` (since when pings are heard). **Reads** the ledger and the safeguards of flow groups.
**Emits** `FlowRunZombieDetected`; what becomes of the run is the ledger's to decide.

The switch is in the broker. A ping is a message that the broker repeats to `hw.silent.{flow_run_id}` unless the next
ping replaces it within the silence (two minutes, four missed pings). Here the silence is checked and announced:

    ping ──▶ hw.beat ──(nothing for two minutes)──▶ hw.silent ──▶ judge ──▶ zombie event
               │                                                    │
               ├──▶ last_seen (coarse)          sweep ──▶ judge ────┴──▶ not yet, or held: armed again
               └──▶ roll (whom this ear heard) ──▶ judge ──▶ zombie event, or left to the broker

* A run is *guarded* from its Running state on, if its flow has heartbeats enabled at that moment; the setting holds
  for future runs. A flow with heartbeats disabled sends one ping all the same: it is disarmed at once, never judged.
* A Submitted run has no process yet, so its silence is Lazarus' case. A finished run is disarmed and never touched.
* The broker is never wrong for long, but late when it is busy: a silence may wait ten seconds behind a million runs'
  pings, and a ping may get lost when they come faster than it stores them. So each ear keeps the roll of whom it heard
  last when, and announces at once who was silent for two minutes, if the tables and the broker's newest ping agree.
* A slow sweep finds guarded runs that the broker lost (overdue switches do not survive its restart).

Silence is not death until proven:

* *We were deaf.* `watch` says since when pings are heard without a gap: NATS connected, PostgreSQL writing, a gateway
  alive, pings heard as fast as they come. Whoever is silent over a time in which we did not listen is armed again. So
  an outage, a restart, a paused process or a jump of the database's clock costs one silence, not a run. After a clock
  that went back, signs of life that lie in the future are set to the moment, or they would hide the dead.
* *Everybody is silent.* When fewer than half of the guarded runs ping, the fault is likely between them and us (a load
  balancer, a network). Silences are held, reported and armed again; only what is silent for another whole period is
  announced.
* *They pinged meanwhile.* Before the announcement the broker is asked once more for the run's newest ping: it knows
  what an ear lost. What the ears heard and the broker has not stored, or has lost, is on their rolls, or in the tables,
  which the announcing statement looks at again. A question without an answer puts the silence off for a second.

Killed at any moment: silences are acknowledged after the transaction of record and outbox row, and a redelivered one
finds the record. What a replica had been sent when it was killed or stopped comes again after a minute (the
consumer's `ack_wait`). Two replicas share the consumers; a run is announced once per version and last sign of life.
NATS gone: no silences, and the watch starts anew. PostgreSQL gone: batches are put off, and the watch starts anew.

It will not fail a run, count missed pings itself, or judge task runs (Core below 0.15.4 pings for them; it is shown).
"""
