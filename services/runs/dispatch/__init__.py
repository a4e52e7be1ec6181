"""Hands due runs to native agents: claims that wait, leases, presence. Part of the run ledger.

What it owns: the leases of flow runs (written by the ledger's journal), and the claims that wait in this process's
memory.

How a run gets to an agent. An agent with room sends a claim and leaves it here (it *parks*). Something comes due: the
ledger committed a run (`Dispatch.due`), a timer set for its instant fires, or the tick finds it. One *pass* per tenant
looks which label sets have due runs, takes as many runs as the parked claims have room for (FOR NO KEY UPDATE SKIP
LOCKED, so replicas take different ones), shares them out one each in turn, has the ledger's journal write Submitted
with history and outbox, commits, and answers. Agents never queue for a lock, and a due run wakes one agent, not all.

    Scheduled --claim--> Submitted, lease 5 s --renew--> Submitted, lease 30 s --process--> Running, lease 2 min
        ^                    |                              |
        +---- lease lapsed --+------------------------------+      (a new attempt with a new token)

Guarantees
* A claim is a conditional update under the row's lock: of all agents and replicas one gets the run.
* A claim holds the flows of what it takes until it commits, so nothing of an archived or deleted flow is handed out.
* Fencing: an agent renews before it starts a process, and the renewal fails once the run has gone to another attempt.
  So a start is accepted once, however late an agent wakes up. A write with a stale token is Refused(LEASE_LOST).
* Leases run by PostgreSQL's clock. A lapse takes a run away only while it is Submitted; a Running run is judged by its
  pings (the heartbeat service), never by its agent's connection.
* An agent that died with its connection is noticed when the answer finds no taker, and its runs go back at once; one
  that hangs loses them after the first lease.

When NATS is gone, nobody claims; agents come back with their claims by themselves. When PostgreSQL is gone, claims
stay parked and passes fail until it is back. When this process dies its parked claims die with it: the next replica
that finds due runs and nobody waiting signals `work_ready`, and agents ask anew. Killed between commit and answer:
the claim is repeated by its agent and answered again, or the lease lapses. Run by several replicas: each has its own
parked claims, and each hears of due runs.

Requests are answered as those of services are (`libs/runtime/bus`): traced, timed, so many of a verb at once, and
within the time that an agent waits. A claim that is parked is answered later, by whoever has runs for it.

What it will not do: run anything, judge a Running run, or touch a finished one.
"""

from services.runs.dispatch.service import Dispatch, asking_tenant
from services.runs.dispatch.settings import DispatchSettings
from services.runs.dispatch.verbs import LedgerCalls, read_report

__all__ = ["Dispatch", "DispatchSettings", "LedgerCalls", "asking_tenant", "read_report"]
