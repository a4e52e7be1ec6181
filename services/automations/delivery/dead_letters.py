"""Notes in the inbox of the tenant's people about what will not arrive: once a day for each action, not each event."""

from uuid import NAMESPACE_URL, uuid5

import structlog

from libs.contracts.base import Refused
from libs.contracts.gateway import ADD_MESSAGE, AddMessage
from libs.runtime.bus import Bus
from services.automations.delivery.store import Leased, Settled
from services.automations.domain.templates import for_slack


class DeadLetters:
    """Notes about deliveries that failed for good. Only a note: the delivery itself is kept, and can be sent again."""

    def __init__(self, bus: Bus, log: structlog.typing.FilteringBoundLogger) -> None:
        self._bus = bus
        self._log = log

    async def note(self, delivery: Leased, settled: Settled) -> None:
        """Put a note into the inbox, unless there is one of today."""
        what = "cloud hook" if delivery.cloud_hook_id else "automation"
        switched = " It was switched off." if settled.status == "switched_off" else ""
        # The web page shows it as Markdown within its own text: nothing of a receiver may be markup there.
        reason = for_slack(settled.error or "the receiver is gone")
        message = AddMessage(
            id=uuid5(NAMESPACE_URL, f"dead-letter:{delivery.addressee}:{_day_of(delivery)}"),
            tenant_id=delivery.tenant_id,
            type="MESSAGE",
            text=f"A delivery of your {what} failed",
            content={
                "title": f"A delivery of your {what} failed",
                "message": (
                    f"Delivery {delivery.id} to {settled.receiver or 'its receiver'} will not be tried again:"
                    f" {reason}.{switched} Mend the cause, then send it again."
                ),
                "delivery_id": str(delivery.id),
            },
        )
        answer = await self._bus.call(ADD_MESSAGE, message)
        if isinstance(answer, Refused):
            self._log.warning("dead_letter_not_noted", delivery_id=str(delivery.id))


def _day_of(delivery: Leased) -> str:
    """The day of the event, as it is written in it."""
    return str(delivery.event.get("timestamp", ""))[:10]
