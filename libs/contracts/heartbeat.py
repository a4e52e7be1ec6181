"""What the heartbeat service hears and tells."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Event, Message
from libs.contracts.subjects import Subject

SCHEDULE_HEADER = "Nats-Schedule"
TARGET_HEADER = "Nats-Schedule-Target"
TTL_HEADER = "Nats-TTL"


class Silence(Message):
    """What the broker says on `hw.silent.{flow_run_id}` when nothing replaced a ping in time.

    It is the body of the ping itself, so it names the tenant and when the ping was sent.
    """

    tenant_id: UUID
    flow_run_id: UUID
    sent: datetime


class FlowRunZombieDetected(Event):
    """A live run has been silent for too long. `version` is what the service saw; `runs` decides."""

    subject: ClassVar[Subject] = subjects.FLOW_RUN_ZOMBIE_DETECTED
    flow_run_id: UUID
    version: int
    last_seen: datetime
