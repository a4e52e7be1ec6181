"""What Lazarus listens to: nothing. It looks at the tables by itself (`loops.py`), and proposes to the ledger."""

from libs.contracts import streams
from libs.runtime.bus import Router


def router(service: str) -> Router:
    """No subject; its proposals are work for the ledger."""
    router = Router(service)
    router.publishes(streams.WORK)
    return router
