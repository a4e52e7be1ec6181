"""Actions on many flow runs or flows at once, with a result for each.

    mutation { bulk_flow_runs(input: {
        request_key: "clear-late-2026-11-30", action: "CANCEL",
        where: "{\\"state\\": {\\"_eq\\": \\"Scheduled\\"}}"         # or ids: ["..."]; JSON, as of the list flow_run
    }) { finished total done refused not_found items { id outcome reason state version } } }

    query { bulk_request(request_key: "clear-late-2026-11-30") { finished total done refused items { id outcome } } }

`dry_run: true` returns the number and the items, and changes nothing. Actions: CANCEL, DELETE, RESTART (from failed
tasks), SET_STATE (with `state`), RUN_NOW (scheduled runs); `bulk_flows` has ARCHIVE.

    selection.py (which, by the read path) -> store.py (rows) -> worker.py -> commands of `runs` and `registry`
                                                                    decisions.py: the proposals, and their results

Owns `gateway.bulk_request` and `gateway.bulk_item`: the request, the versions that were seen, the result of each item.

`success` and `error` are about the request as a whole. `success` is true when the request was taken, also while it goes
on and where single items were refused: `done`, `refused`, `not_found` and the items say what came of each. It is false,
with `error`, when nothing at all was done although there were items.

Guarantees
* A key identifies one request of a tenant as long as it is stored. A repetition with the same key returns the results
  of the first, and nothing is done twice. Another request with the same key is refused.
* The items are selected once. Each changes only if its version is still the one seen then; otherwise it gets a reason.
  The ledger decides that under the row's lock, independent of version locking.
* When a client leaves, the request goes on and can be read later. The same when its gateway is killed: another one
  finds the rows without a result. An item that was done without a stored result is recognised by its version.
* Ids of another tenant are answered like unknown ids: `not_found`.
* One request has at most 10,000 items; a tenant has at most 4 unfinished ones, 2 of them active on a gateway. They are
  done in batches, so other commands run in between.
* A restart includes all failed task runs of a run, 20,000 at most; with more it is refused.
* While NATS or the ledger is away, commands are repeated until they succeed: a request ends with a result for each
  item.
"""

from dataclasses import dataclass

from services.gateway.bulk.selection import Selection
from services.gateway.bulk.store import BulkStore
from services.gateway.bulk.worker import BulkWorker


@dataclass(frozen=True, slots=True)
class Bulk:
    """The interface for resolvers."""

    store: BulkStore
    selection: Selection
    worker: BulkWorker
