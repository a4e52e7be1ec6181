"""All subjects as an AsyncAPI 3.0 document: payload, guarantee and responder of each.

`make generate` writes `libs/contracts/asyncapi.json`; a contract test holds it to the code and walks every subject.
"""

import json
from pathlib import Path
from typing import Any

from libs.contracts import agents, registry, runs, scheduler, subjects
from libs.contracts.base import Event, Message, Refused, Rpc
from libs.contracts.streams import ALL as STREAMS
from libs.contracts.subjects import Subject

FILE = Path(__file__).with_name("asyncapi.json")

GUARANTEES = {
    "rpc": "Request and reply, at most once; the caller owns the retry. An absent responder is an answer.",
    "work": "JetStream work queue: at least once; must happen. Deduplicated by Nats-Msg-Id.",
    "evt": "JetStream through an outbox: at least once, ordered per id; a fact in the past tense.",
    "log": "Request and reply, at most once: the answer is JetStream's acknowledgement. The agent owns the retry.",
    "lines": "JetStream, drained in batches: at least once, deduplicated by the lines' ids.",
    "beat": "Core NATS: lossy; three pings of four may get lost.",
    "sig": "Core NATS: lossy; nothing depends on one arriving.",
    "dlq": "JetStream: poison, kept for a human.",
}

BODIES: dict[Subject, type[Message]] = {
    # messages that are neither an Rpc nor an Event
    subjects.WORK_CREATE_SCHEDULED: runs.CreateScheduled,
    subjects.WORK_CLEAR_SCHEDULED: runs.ClearScheduled,
    subjects.WORK_FORGET_DELETED: runs.ForgetDeleted,
    subjects.WORK_RESCHEDULE: runs.Reschedule,
    subjects.LOG: runs.LogBatch,
    subjects.LINES: runs.LogBatch,
    subjects.SIG_AGENT_WORK_READY: agents.WorkReady,
    subjects.SIG_CHANGED: runs.Changed,
}
EMPTY: frozenset[Subject] = frozenset(
    # the subject itself says everything
    {
        subjects.BEAT,
        subjects.SIG_AGENT_CANCEL,
        subjects.SIG_RUN_DUE,
        subjects.SIG_TASK_BEAT,
        subjects.SIG_SERVICE_ALIVE,
        subjects.SIG_KEY_CHANGED,
        subjects.DLQ,  # whatever the poisoned message was
    }
)


def verbs() -> list[Rpc[Any, Any]]:
    """Every request that some service answers."""
    return [
        value
        for module in (agents, registry, runs, scheduler)
        for value in vars(module).values()
        if isinstance(value, Rpc)
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


def document() -> dict[str, Any]:
    """The AsyncAPI document as a JSON object."""
    schemas: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, subject in sorted(_names().items()):
        plane = subject.template.split(".")[1]
        channels[name] = {
            "address": subject.template,
            "description": GUARANTEES[plane] + _stream_of(subject),
            "parameters": {token: {} for token in subject.tokens},
            "messages": {},
        }
    for rpc in verbs():
        name = _name_of(rpc.subject)
        _carry(channels[name], schemas, rpc.request)
        operations[f"answer_{name}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": _first_line(rpc.request),
            "reply": {
                "messages": [
                    _carry(channels[name], schemas, rpc.reply),
                    _carry(channels[name], schemas, Refused),
                ],
                "channel": {"$ref": f"#/channels/{name}"},
            },
        }
    for event in events():
        name = _name_of(event.subject)
        _carry(channels[name], schemas, event)
        operations[f"tell_{name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": _first_line(event),
        }
    for subject, body in BODIES.items():
        _carry(channels[_name_of(subject)], schemas, body)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Headwater",
            "version": "1",
            "description": "The bus of Headwater. Fields are only added, with a default; readers ignore unknown ones.",
        },
        "channels": channels,
        "operations": dict(sorted(operations.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _names() -> dict[str, Subject]:
    return {k.lower(): v for k, v in vars(subjects).items() if isinstance(v, Subject)}


def _name_of(subject: Subject) -> str:
    return next(name for name, known in _names().items() if known == subject)


def _stream_of(subject: Subject) -> str:
    plane = ".".join(subject.template.split(".")[:2]) + ".>"
    found = [stream.name for stream in STREAMS if plane in stream.subjects]
    return f" Kept in the stream {found[0]}." if found else ""


def _first_line(body: type[Message]) -> str:
    return (body.__doc__ or "").strip().split("\n")[0]


def _carry(channel: dict[str, Any], schemas: dict[str, Any], body: type[Message]) -> dict[str, str]:
    """Add a message to a channel and its schema to the components; answers the reference."""
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {})
    schemas[body.__name__] = schema
    channel["messages"][body.__name__] = {
        "payload": {"$ref": f"#/components/schemas/{body.__name__}"},
        "summary": _first_line(body),
    }
    return {"$ref": f"#/channels/{_name_of_channel(channel)}/messages/{body.__name__}"}


def _name_of_channel(channel: dict[str, Any]) -> str:
    return next(n for n, s in _names().items() if s.template == channel["address"])


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
