"""Every stream and durable consumer: what it keeps and why. `deploy/provision.py` alone creates them."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from libs.contracts import subjects


class Retention(StrEnum):
    """When a stream removes messages: by its limits, or when its one consumer group has acknowledged."""

    LIMITS = "limits"
    WORK_QUEUE = "workqueue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """A durable pull consumer. `ack_wait` is longer than the slowest normal handling; `max_deliver` ends in the DLQ."""

    name: str
    service: str
    filter: str
    ack_wait: timedelta = timedelta(seconds=30)
    max_deliver: int = 20
    max_ack_pending: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A JetStream stream. File storage unless `memory`, which is for hints only."""

    name: str
    subjects: tuple[str, ...]
    retention: Retention = Retention.LIMITS
    max_age: timedelta = timedelta(0)
    max_bytes: int = -1
    max_msgs_per_subject: int = -1
    duplicate_window: timedelta = timedelta(minutes=2)
    memory: bool = False
    refuses_when_full: bool = False
    """Whether a full stream refuses new messages, or drops the oldest."""
    durables: tuple[Durable, ...] = field(default=())


EVENTS = Stream(
    name="EVENTS",
    subjects=("hw.evt.>",),
    max_age=timedelta(days=3),  # a consumer that was away longer reconciles from the tables
    max_bytes=2 << 30,
    durables=(
        Durable(name="scheduler__flows", service="scheduler", filter="hw.evt.flow.*.*"),
        Durable(
            name="runs__flows_archived", service="runs", filter=subjects.FLOW_ARCHIVED.wildcard
        ),
        Durable(
            name="runs__flows_deleted",
            service="runs",
            filter=subjects.FLOW_DELETED.wildcard,
            ack_wait=timedelta(minutes=10),  # a flow may have a million runs to delete
        ),
        Durable(
            name="runs__zombies",
            service="runs",
            filter=subjects.FLOW_RUN_ZOMBIE_DETECTED.wildcard,
        ),
        Durable(
            name="heartbeat__states",
            service="heartbeat",
            filter=subjects.FLOW_RUN_STATE_CHANGED.wildcard,
            max_ack_pending=20_000,
        ),
        Durable(
            name="automations__states",
            service="automations",
            filter=subjects.FLOW_RUN_STATE_CHANGED.wildcard,
            max_ack_pending=20_000,
        ),
        Durable(
            name="automations__flow_groups_deleted",
            service="automations",
            filter=subjects.FLOW_GROUP_DELETED.wildcard,
        ),
    ),
)

WORK = Stream(
    name="WORK",
    subjects=("hw.work.>",),
    retention=Retention.WORK_QUEUE,
    durables=(Durable(name="runs__work", service="runs", filter="hw.work.runs.>"),),
)

LOG_DRAIN = Durable(
    name="runs__logs",
    service="runs",
    # Everything in the stream: also lines of the release before, which kept them under `hw.log`.
    filter=">",
    max_ack_pending=20_000,
)

LOGS = Stream(
    name="LOGS",
    subjects=("hw.lines.>",),
    retention=Retention.WORK_QUEUE,
    max_bytes=4 << 30,
    # Acknowledged lines are not dropped for new ones; a client that is refused sends again.
    refuses_when_full=True,
    durables=(LOG_DRAIN,),
)

DLQ = Stream(name="DLQ", subjects=("hw.dlq.>",), max_age=timedelta(days=30), max_bytes=256 << 20)

ALL: tuple[Stream, ...] = (EVENTS, WORK, LOGS, DLQ)


def durable(name: str) -> Durable:
    """The durable of this name, of any stream."""
    return next(each for stream in ALL for each in stream.durables if each.name == name)


RETIRED: tuple[str, ...] = ("BEATS",)
"""Streams of earlier releases, by name. They are removed: the source of BEATS obeyed headers that any agent could
write."""
