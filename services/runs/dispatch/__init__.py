"""Gives due runs to native agents: waiting claims, leases, presence. Part of the run ledger.

It owns the leases of flow runs (written by the ledger's journal), and the claims that wait in this process's memory.

How a run gets to an agent. An agent with room sends a claim, which waits here. A run becomes due: the ledger committed
it (`Dispatch.due`), a timer for its instant fires, or the tick finds it. One *pass* per tenant finds the label sets
with due runs, takes as many runs as the waiting claims have room for (FOR NO KEY UPDATE SKIP LOCKED, so replicas take
different ones), distributes them one each in turn, writes Submitted with history and outbox through the ledger's
journal, commits, and answers. Agents never queue for a lock, and a due run wakes one agent, not all.

    Scheduled --claim--> Submitted, lease 5 s --renew--> Submitted, lease 30 s --process--> Running, lease 2 min
        ^                    |                              |
        +---- lease lapsed --+------------------------------+      (a new attempt with a new token)

Guarantees
* A claim is a conditional update under the row's lock: of all agents and replicas one gets the run.
* A claim locks the flows of its runs until it commits, so no run of an archived or deleted flow is given out.
* While the tenant's work queue is paused no run is given out, from the pause's commit on: claims and Submitted are
  refused under a lock that the pause waits for, due retries are withheld, and a run that was claimed and not confirmed
  goes back. When it is resumed, what waited goes out oldest first, `resume_rate` a second.
* Fencing: an agent renews before it starts a process, and the renewal fails once the run has gone to another attempt.
  So a start is accepted once, also when an agent resumes very late. A write with a stale token is Refused(LEASE_LOST).
* Leases run by PostgreSQL's clock. An expired lease takes a run away only while it is Submitted; a Running run is
  judged by its pings (the heartbeat service), never by its agent's connection.
* If an agent has died with its connection, its answer has no receiver, and its runs are queued again at once; an agent
  that hangs loses them after the first lease.

The queue is read over connections of its own (`<service>-queue` in `pg_stat_activity`), which plan a statement once and
never sort: `queue_database.py` says why.

When NATS is gone, there are no claims; agents send them again by themselves. When PostgreSQL is gone, claims go on
waiting and passes fail until it is back. When this process dies its waiting claims are lost: the next replica that
finds due runs without a waiting claim signals `work_ready`, and agents claim again. Killed between commit and answer:
the claim is repeated by its agent and answered again, or the lease lapses. Run by several replicas: each has its own
waiting claims, and each gets the hints about due runs.

Requests are answered as those of services are (`libs/runtime/bus`): traced, timed, limited in number for each verb, and
within the time that an agent waits. A waiting claim is answered later, by the pass that has runs for it.

What it will not do: run anything, judge a Running run, or touch a finished one.
"""

from services.runs.dispatch.service import Dispatch, asking_tenant
from services.runs.dispatch.settings import DispatchSettings
from services.runs.dispatch.verbs import LedgerCalls, read_report

__all__ = ["Dispatch", "DispatchSettings", "LedgerCalls", "asking_tenant", "read_report"]
