"""The events of the heartbeat service. Pings have no body, only a subject (`subjects.BEAT`)."""

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.base import Event
from libs.contracts.subjects import Subject

HEARD_WITHIN = timedelta(minutes=1)  # Lazarus ignores an older confirmation that pings are heard
SILENCE = timedelta(minutes=2)  # four missed beats of the client's 30 s (ARCHITECTURE.md)


class FlowRunZombieDetected(Event):
    """A live run has been silent for too long. `version` is the version that the service saw; `runs` decides."""

    subject: ClassVar[Subject] = subjects.FLOW_RUN_ZOMBIE_DETECTED
    flow_run_id: UUID
    version: int
    last_seen: datetime
