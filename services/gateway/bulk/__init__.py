"""Actions on many flow runs or flows at once, with a result for each.

    mutation { bulk_flow_runs(input: {
        request_key: "clear-late-2026-11-30", action: "CANCEL",
        where: "{\\"state\\": {\\"_eq\\": \\"Scheduled\\"}}"         # or ids: ["..."]; JSON, as of the list flow_run
    }) { finished total done refused not_found items { id outcome reason state version } } }

    query { bulk_request(request_key: "clear-late-2026-11-30") { finished total done refused items { id outcome } } }

`dry_run: true` answers how many and which, and changes nothing. Actions: CANCEL, DELETE, RESTART (from what failed),
SET_STATE (with `state`), RUN_NOW (what is scheduled); `bulk_flows` has ARCHIVE.

    selection.py (which, by the read path) -> store.py (rows) -> worker.py -> commands of `runs` and `registry`
                                                                    decisions.py: what is proposed, what came of it

Owns `gateway.bulk_request` and `gateway.bulk_item`: what was asked, which versions were seen, what came of each.

Guarantees
* A key names one request of a tenant for as long as it is kept. Asked again with it, the first one's results are
  answered, and nothing is done twice. With the same key for something else it is refused.
* Which items are concerned is settled once. Each changes only if its version is still the one that was seen then, or
  says why not. The ledger decides that under the row's lock, whatever version locking says.
* A client that leaves changes nothing: the request goes on and can be read. So it does when its gateway is killed:
  another one finds the rows without a result. What was done but not yet written down is recognised by its version.
* Ids of another tenant are answered like ids of nothing: `not_found`.
* One request has at most 10,000 items; a tenant has at most 4 unfinished ones, of which 2 are at work on a gateway.
  They go in batches, so others' commands go between.
* A restart takes up all task runs of a run that failed, or is refused: of 20,000 at most.
* What cannot be reached (NATS, the ledger) is asked again until it can: a request ends with a result for each item.
"""

from dataclasses import dataclass

from services.gateway.bulk.selection import Selection
from services.gateway.bulk.store import BulkStore
from services.gateway.bulk.worker import BulkWorker


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a resolver needs of it."""

    store: BulkStore
    selection: Selection
    worker: BulkWorker
