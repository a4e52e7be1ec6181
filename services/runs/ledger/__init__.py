"""The ledger proper: batches of commands, each one transaction. Part of the service `runs`.

    GroupCommit (libs/runtime) --> Ledger.begin --> one batch:

        creations.prepare   share flows                        rules: domain/creation.py
        locking.lock        flow runs, task runs, limits       what is needed, in the order below
        proposals           what clients propose               rules: domain/transitions.py, concurrency_limits.py
        interventions       what safeguards propose            rules: domain/safeguards.py
          \\-- moves --> journal: state rows, histories, slots, outbox. Nothing else writes them.
        creations.insert    new runs                           by the journal

The order of locks is the same in every transaction of the ledger, so that replicas wait for each other but never
deadlock: flows (shared), flow runs by id, task runs by id, concurrency limits by id, then unique keys of new rows in
key order.

| to change | go to |
|---|---|
| what is written with a state | `journal.py`, `rows.py`, `queries/write_*.sql` |
| what is locked, and the facts for decisions | `locking.py`, `reads.py`, `queries/lock_*.sql` |
| how a client's proposal is answered | `proposals.py` |
| how a safeguard's proposal is answered | `interventions.py` |
| how new runs are made | `creations.py`, `queries/insert_*.sql` |
| how runs are deleted | `removal.py` |
"""

from services.runs.ledger.commands import Answer, Command
from services.runs.ledger.interventions import Policy
from services.runs.ledger.ledger import Committed, Ledger

__all__ = ["Answer", "Command", "Committed", "Ledger", "Policy"]
