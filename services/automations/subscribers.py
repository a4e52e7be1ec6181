"""What the automations listen to: nothing."""

from libs.runtime.bus import Router


def router(service: str) -> Router:
    """No subject."""
    return Router(service)
