"""The scheduler: every active schedule has its next ten instants in the ledger, each whole, each once for ever.

**Owns** `scheduler.schedule`, one row per flow version whose schedule is followed. **Reads** the registry's flows and
groups, and the ledger, to see what is there. **Proposes** to `runs`, over the WORK stream: `CreateScheduled` (make the
missing runs of these instants, and give planned ones their present inputs) and `ClearScheduled` (delete pending ones
that the schedule no longer yields). Both carry the schedule that was seen: for another one they are stale.

A flow's schedule is followed while it is active, the flow is not archived, and its group or the flow itself has one
(the group's wins). Two unarchived versions are two schedules. `domain/` says which instants a schedule yields, exactly
as Prefect Core 1.4.1 does, and `domain/proposals.py` what is made, made again, left alone and cleared.

How it keeps up: events of the registry poke it, and every tick compares the registry's tables with its own rows, so a
lost event costs one tick. A row is claimed with SKIP LOCKED, the proposal is published, then the row is committed.
A second loop compares what was said with what the ledger holds, and says it again where they differ.

* *Killed between publishing and committing:* the row is still due, the proposal is published again; the ledger's key
  (flow version, instant, hash) makes the second one a no-op.
* *NATS gone:* publishing fails, the transaction rolls back, the row stays due.
* *The WORK stream lost, or rows of runs deleted by hand:* half a minute after it was said, what is missing is said
  again, and what is too much is cleared. So it is where a paused flow still has pending runs.
* *PostgreSQL gone:* ticks fail and go on when it is back. Runs that were due meanwhile are in the ledger already.
* *Paused for an hour and resumed, or run twice:* instants that have passed are never proposed; two replicas share the
  rows.
* *A schedule that can never yield what it says:* it cannot be read, or a required parameter has no value. `reason` in
  its row, `late_reason` of the flow in GraphQL, and a metric say so.

It answers `hw.rpc.scheduler.preview_schedule`: the next instants of a schedule that need not be saved (`preview.py`).

It will not create runs itself, or make up for instants that passed while nothing ran.

| to change | go to |
|---|---|
| which instants a schedule yields | `domain/` |
| what is made, made again, left alone and cleared | `domain/proposals.py` |
| how rows are claimed and proposals published | `planner.py`, `queries/` |
| what it answers to who asks for instants | `preview.py` |
| what it listens to, what it does by itself | `subscribers.py`, `loops.py` |
"""
