"""What the gateway does by itself: one tick per duty."""

from libs.runtime.loop import Duty
from services.gateway.bulk.worker import BulkWorker
from services.gateway.log_copies import LogCopies
from services.gateway.settings import GatewaySettings


def duties(settings: GatewaySettings, log_copies: LogCopies, bulk: BulkWorker) -> tuple[Duty, ...]:
    """Those that it has."""
    return (
        Duty("log_copies", settings.log_copies_tick, log_copies.tick),
        Duty("bulk", settings.bulk_tick, bulk.tick),
    )
