"""The subscriptions of Lazarus: none. Its loop reads the tables (`loops.py`), and it proposes to the ledger."""

from libs.contracts import streams
from libs.runtime.bus import Router


def router(service: str) -> Router:
    """No subjects; its proposals are work for the ledger."""
    router = Router(service)
    router.publishes(streams.WORK)
    return router
