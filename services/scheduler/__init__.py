"""The scheduler: the next ten instants of every active schedule are in the ledger, each with all its runs, and each run
is made only once.

**Owns** `scheduler.schedule`, one row per flow version whose schedule is followed. **Reads** the registry's flows and
groups, and the ledger, to see what is there. **Proposes** to `runs`, over the WORK stream: `CreateScheduled` (make the
missing runs of these instants, and update the inputs of planned ones) and `ClearScheduled` (delete pending ones that
the schedule no longer yields). Both carry a digest of the schedule: if it has changed meanwhile, they are refused as
stale.

A flow's schedule is followed while it is active, the flow is not archived, and its group or the flow itself has one
(the group's wins). Two unarchived versions are two schedules. `domain/` says which instants a schedule yields, exactly
as Prefect Core 1.4.1 does, and `domain/proposals.py` which runs are made, made again, kept and cleared.

How it keeps up: events of the registry poke it, and every tick compares the registry's tables with its own rows, so a
lost event costs one tick. A row is claimed with SKIP LOCKED, the proposal is published, then the row is committed. A
second loop compares the sent proposals with the ledger, and sends them again if they differ.

* *Killed between publishing and committing:* the row is still due, the proposal is published again; the ledger's key
  (flow version, instant, hash) makes the second one a no-op.
* *NATS gone:* publishing fails, the transaction rolls back, the row stays due.
* *The WORK stream lost, or rows of runs deleted by hand:* half a minute after the proposal, missing runs are proposed
  again, and surplus runs are cleared. The same holds for a paused flow that still has pending runs.
* *PostgreSQL gone:* ticks fail and go on when it is back. Runs that were due meanwhile are in the ledger already.
* *Paused for an hour and resumed, or run twice:* instants that have passed are never proposed; two replicas share the
  rows.
* *A schedule that cannot make its runs:* it cannot be parsed, or a required parameter has no value. `reason` in its
  row, `late_reason` of the flow in GraphQL, and a metric say so.

It answers `hw.rpc.scheduler.preview_schedule`: the next instants of a schedule, saved or not (`preview.py`).

It will not create runs itself, or make up for instants that passed while nothing ran.

| to change | go to |
|---|---|
| which instants a schedule yields | `domain/` |
| what is made, made again, left alone and cleared | `domain/proposals.py` |
| how rows are claimed and proposals published | `planner.py`, `queries/` |
| what it answers to who asks for instants | `preview.py` |
| what it listens to, what it does by itself | `subscribers.py`, `loops.py` |
"""
