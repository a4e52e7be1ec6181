"""The scheduler: every active schedule has its next ten runs in the ledger, each instant once for ever.

**Owns** `scheduler.schedule`, one row per flow version whose schedule is followed. **Reads** the registry's flows and
groups, and the ledger, to see what is there. **Proposes** to `runs`, over the WORK stream: `CreateScheduled` (make the
missing runs of these instants) and `ClearScheduled` (delete pending ones that the schedule no longer yields).

A flow's schedule is followed while it is active, the flow is not archived, and its group or the flow itself has one
(the group's wins). `domain/` says which instants a schedule yields, exactly as Prefect Core 1.4.1 does.

How it keeps up: events of the registry poke it, and every tick compares the registry's tables with its own rows, so a
lost event costs one tick. A row is claimed with SKIP LOCKED, the proposal is published, then the row is committed.

* *Killed between publishing and committing:* the row is still due, the proposal is published again; the ledger's key
  (flow group, instant, hash) makes the second one a no-op.
* *NATS gone:* publishing fails, the transaction rolls back, the row stays due.
* *The WORK stream lost:* the ledger's newest scheduled run is older than the row's horizon, or a paused flow still has
  pending runs; half a minute later it is said again.
* *PostgreSQL gone:* ticks fail and go on when it is back. Runs that were due meanwhile are in the ledger already.
* *Paused for an hour and resumed, or run twice:* instants that have passed are never proposed; two replicas share the
  rows.

It will not create runs itself, judge required parameters (the registry does, when a schedule is activated), or make
up for instants that passed while nothing ran.
"""
