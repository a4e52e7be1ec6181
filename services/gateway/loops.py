"""The loops of the gateway: one tick per duty."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from libs.runtime.loop import Duty
from services.gateway.bulk.worker import BulkWorker
from services.gateway.log_copies import LogCopies
from services.gateway.settings import GatewaySettings

_FORGET_HOOKS = timedelta(minutes=10)


def duties(
    settings: GatewaySettings,
    log_copies: LogCopies,
    bulk: BulkWorker,
    follow_events: Callable[[], Awaitable[int]],
    look_at_engines: Callable[[], Awaitable[int]],
    *,
    forget_former_hooks: Callable[[], Awaitable[int]],
) -> tuple[Duty, ...]:
    """All of them; `follow_events` reads changes and ends the streams whose keys have ended."""
    return (
        Duty("log_copies", settings.log_copies_tick, log_copies.tick),
        Duty("bulk", settings.bulk_tick, bulk.tick),
        Duty("events", settings.event_tick, follow_events),
        Duty("health", settings.health_tick, look_at_engines),
        Duty("former_hooks", _FORGET_HOOKS, forget_former_hooks),
    )
