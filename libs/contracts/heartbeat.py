"""What the heartbeat service hears and tells."""

import math
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import field_validator

from libs.contracts import subjects
from libs.contracts.base import Event, Message
from libs.contracts.subjects import Subject

SCHEDULE_HEADER = "Nats-Schedule"
TARGET_HEADER = "Nats-Schedule-Target"
TTL_HEADER = "Nats-TTL"
SCHEDULER_HEADER = (
    "Nats-Scheduler"  # on what the broker says in `hw.silent`: the subject of the switch
)
REARMED_HEADER = (
    "Hw-Rearmed"  # on a beat that the heartbeat service sent itself: not a sign of life
)

HEARD_WITHIN = timedelta(minutes=1)  # an older confirmation that pings are heard is none to Lazarus
SILENCE = timedelta(minutes=2)  # four missed beats of the client's 30 s (design.md section 6)


class Silence(Message):
    """What the broker says on `hw.silent.{flow_run_id}` when nothing replaced a ping in time.

    It is the body of the ping itself, so it names the tenant and when the ping was sent.
    """

    tenant_id: UUID
    flow_run_id: UUID
    sent: datetime

    @field_validator("sent")
    @classmethod
    def _in_utc(cls, sent: datetime) -> datetime:
        """An agent's moment without an offset is UTC; compared with ours, it would fail the batch that it comes in."""
        return sent if sent.tzinfo is not None else sent.replace(tzinfo=UTC)


class FlowRunZombieDetected(Event):
    """A live run has been silent for too long. `version` is what the service saw; `runs` decides."""

    subject: ClassVar[Subject] = subjects.FLOW_RUN_ZOMBIE_DETECTED
    flow_run_id: UUID
    version: int
    last_seen: datetime


def beat_message(
    tenant_id: UUID, flow_run_id: UUID, sent: datetime, silence: timedelta = SILENCE
) -> tuple[str, dict[str, str], bytes]:
    """One ping as (subject, headers, body): publish it on JetStream, the switch does the rest.

    It replaces the ping before it, so the broker fires `hw.silent.{flow_run_id}` only when none came for `silence`, and
    again after each further one until somebody disarms it. TTLs for it and for what it fires would cost the broker ten
    microseconds more a ping (31 instead of 21 with 200,000 runs, nats-server 2.15.1); a million runs leave it none.
    """
    # The broker counts whole seconds, and fires up to half a one early (seen with 2.15.1: 119.6 s after a ping of 120).
    seconds = max(1, math.ceil(silence.total_seconds())) + 1
    headers = {
        SCHEDULE_HEADER: f"@every {seconds}s",
        TARGET_HEADER: subjects.SILENT.at(flow_run_id=flow_run_id),
    }
    body = Silence(tenant_id=tenant_id, flow_run_id=flow_run_id, sent=sent).model_dump_json()
    return subjects.BEAT.at(tenant_id=tenant_id, flow_run_id=flow_run_id), headers, body.encode()


def disarm_message(tenant_id: UUID, flow_run_id: UUID) -> tuple[str, dict[str, str], bytes]:
    """What takes a run's switch away: an empty message in place of its last ping, gone in a second."""
    subject = subjects.BEAT.at(tenant_id=tenant_id, flow_run_id=flow_run_id)
    return subject, {TTL_HEADER: "1s"}, b""
