"""What a service says of itself every few seconds (`hw.sig.service.alive.<service>`): that it lives, and how it is.

Releases before this message sent an empty body. `read_alive` takes that as a service that lives and says no more; so it
takes a body of a later release that it cannot read.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import ValidationError

from libs.contracts.base import Message


class Condition(StrEnum):
    """How a replica of a service is, by its own `/ready`."""

    READY = "ready"
    DEGRADED = "degraded"
    UNREADY = "unready"
    STOPPED = "stopped"


class ServiceAlive(Message):
    """`condition` with its reasons, a sentence each, and since when it is so. STOPPED is the last word of a replica.

    `instance` is a process's own; `version` is the build that it runs. None where a release before says nothing.
    """

    instance: UUID | None = None
    version: str | None = None
    started_at: datetime | None = None
    condition: Condition = Condition.READY
    reasons: list[str] = []
    since: datetime | None = None


def read_alive(body: bytes) -> ServiceAlive:
    """What was said; of an empty or unknown body only that the service lives."""
    if not body:
        return ServiceAlive()
    try:
        return ServiceAlive.model_validate_json(body)
    except ValidationError:
        return ServiceAlive()
