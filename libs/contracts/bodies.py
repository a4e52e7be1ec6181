"""What each subject carries. A contract test holds that every subject is here, or says everything by itself."""

from typing import Any

from libs.contracts import (
    agent_configs,
    agents,
    alive,
    automations,
    deliveries,
    gateway,
    heartbeat,
    registry,
    runs,
    scheduler,
    subjects,
)
from libs.contracts.base import Event, Message, Rpc
from libs.contracts.subjects import Subject

BODIES: dict[Subject, type[Message]] = {
    # what is neither an Rpc nor an Event
    subjects.WORK_CREATE_SCHEDULED: runs.CreateScheduled,
    subjects.WORK_CLEAR_SCHEDULED: runs.ClearScheduled,
    subjects.WORK_FORGET_DELETED: runs.ForgetDeleted,
    subjects.WORK_RESCHEDULE: runs.Reschedule,
    subjects.LOG: runs.LogBatch,
    subjects.LINES: runs.LogBatch,
    subjects.SIG_AGENT_WORK_READY: agents.WorkReady,
    subjects.SIG_CHANGED: runs.Changed,
    subjects.SIG_SERVICE_ALIVE: alive.ServiceAlive,
}
EMPTY: dict[Subject, str] = {
    subjects.BEAT: "The run's process lives; said at least every half minute.",
    subjects.SIG_AGENT_CANCEL: "The run is to stop: renew its lease, and obey the standing.",
    subjects.SIG_RUN_DUE: "A run of the tenant is due.",
    subjects.SIG_TASK_BEAT: "The process of a task run lives.",
    subjects.SIG_KEY_CHANGED: "A key has ended: look it up anew.",
    subjects.DLQ: "Whatever the poisoned message was.",
}
"""Subjects that say everything by themselves, and what."""

_MODULES = (
    agent_configs,
    agents,
    automations,
    deliveries,
    gateway,
    heartbeat,
    registry,
    runs,
    scheduler,
)


def verbs() -> list[Rpc[Any, Any]]:
    """Every request that some service answers."""
    return [
        value for module in _MODULES for value in vars(module).values() if isinstance(value, Rpc)
    ]


def events() -> list[type[Event]]:
    """Every event that has a subject of its own, by name."""
    found: list[type[Event]] = []
    waiting: list[type[Event]] = list(Event.__subclasses__())
    while waiting:
        event = waiting.pop()
        waiting += event.__subclasses__()
        if "subject" in event.__dict__:
            found.append(event)
    return sorted(found, key=lambda event: event.__name__)


def bodies() -> dict[Subject, type[Message]]:
    """What each subject carries to whoever listens; the answers to requests not among it."""
    requests: dict[Subject, type[Message]] = {rpc.subject: rpc.request for rpc in verbs()}
    return requests | {event.subject: event for event in events()} | BODIES


def names() -> dict[str, Subject]:
    """The subjects by their names, in lower case."""
    return {k.lower(): v for k, v in vars(subjects).items() if isinstance(v, Subject)}
