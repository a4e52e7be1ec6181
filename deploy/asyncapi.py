"""The bus as AsyncAPI 3.0 documents, made from the services' routers: `make generate` writes both.

* `libs/contracts/asyncapi.json`: all subjects, and what every service does with them.
* `libs/agent/asyncapi.json`: those of native agents, from their side, for whoever writes one.

What is heard and answered comes from the routers (`deploy/subscribers.py`), what is published from the NATS users'
rights (`deploy/nats_users.py`). FastStream makes such a document too, for one service. It has no answers to requests,
no lean lanes, nothing of what is published (none of it by FastStream) and no guarantees. So this generator is ours, and
the only one. `tests/contracts/test_asyncapi.py` holds it to FastStream's, and fails when that has answers.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deploy.nats_users import FOLLOWS, OF_ITSELF, PUBLISHES
from deploy.subscribers import hears, matches, subscriptions_of
from libs.agent import VERSION
from libs.contracts import agent_access
from libs.contracts.agents import PROTOCOL
from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.bodies import EMPTY, bodies, names
from libs.contracts.services import SERVICES
from libs.contracts.streams import ALL as STREAMS
from libs.contracts.subjects import Subject
from libs.runtime.bus.subscriptions import Subscription
from services.runs.dispatch.verbs import CAPACITY_LIMIT, LABELS_LIMIT, WAIT_LIMIT

_LIBS = Path(__file__).parents[1] / "libs"
BUS_FILE = _LIBS / "contracts" / "asyncapi.json"
AGENT_FILE = _LIBS / "agent" / "asyncapi.json"

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
_TOKENS = {
    "tenant_id": "the tenant's id",
    "flow_run_id": "the flow run's id",
    "task_run_id": "the task run's id",
    "flow_id": "the flow's id: of one version",
    "flow_group_id": "the id of the flow's group",
    "project_id": "the project's id",
    "key_id": "the API key's id",
    "service": "the service's name",
    "noun": "the durable that could not handle it",
}
_TRACE = {
    "type": "object",
    "properties": {
        "traceparent": {
            "type": "string",
            "description": "W3C Trace Context; the ledger continues it",
        }
    },
}
_SERVERS = {
    "headwater": {
        "host": "{host}",
        "protocol": "nats",
        "description": "NATS of a Headwater, with TLS if it speaks it.",
        "variables": {"host": {"description": "host and port, as people who run it name them"}},
        "security": [{"$ref": "#/components/securitySchemes/api_key"}],
    }
}
_SECURITY = {
    "api_key": {
        "type": "apiKey",
        "in": "password",
        "description": "An API key of the tenant, as token or as password of a user that NATS does not know. "
        "The log-in expires after a few minutes; the agent connects again.",
    }
}
_CAPACITY = {"capacity": {"minimum": 1, "maximum": CAPACITY_LIMIT}}
_LABELS = {"labels": {"maxItems": LABELS_LIMIT}}
_BOUNDS: dict[str, dict[str, dict[str, Any]]] = {
    "Hello": _CAPACITY | _LABELS,
    "Claim": _CAPACITY | _LABELS | {"wait": {"minimum": 0, "maximum": WAIT_LIMIT}},
}
"""What the ledger refuses as invalid."""
Operations = dict[str, dict[str, Any]]


class Document:
    """A document in the making. `channels` are the subjects that it is about, by name."""

    def __init__(self, channels: Mapping[str, Subject]) -> None:
        self._names = {subject: name for name, subject in channels.items()}
        self._bodies = bodies()
        self._models: set[type[BaseModel]] = set()
        self._channels: dict[str, dict[str, Any]] = {}
        self.operations: Operations = {}
        self._top: dict[str, Any] = {}
        self._components: dict[str, Any] = {}
        for name, subject in channels.items():
            body = self._bodies.get(subject)
            self._channels[name] = {
                "address": subject.template,
                "description": GUARANTEES[_plane_of(subject)] + _stream_of(subject),
                "parameters": {token: {"description": _TOKENS[token]} for token in subject.tokens},
                "messages": {} if body is None else {body.__name__: self._message(body)},
            }

    def serve_agents(self) -> None:
        """Say where agents connect, with what, and what a request may carry beside its body."""
        self._components["securitySchemes"] = _SECURITY
        self._top["servers"] = _SERVERS
        for operation in self.operations.values():
            if "reply" in operation:
                name = operation["channel"]["$ref"].rpartition("/")[2]
                for message in self._channels[name]["messages"].values():
                    message["headers"] = _TRACE

    def add(self, name: str, action: str, subject: Subject, *, by: str | None = None) -> None:
        """What is done with a subject's messages, and by which service."""
        self.operations[name] = self._operation(action, subject, by)

    def add_request(
        self, name: str, action: str, rpc: Rpc[Any, Any], *, by: str | None = None
    ) -> None:
        """A request and its answers, which come to an inbox of the caller's."""
        channel = self._names[rpc.subject]
        answers = f"{channel}_answer"
        replies: tuple[type[Message], ...] = (rpc.reply, Refused)
        self._channels[answers] = {
            "address": None,
            "messages": {each.__name__: self._message(each) for each in replies},
        }
        self.operations[name] = self._operation(action, rpc.subject, by) | {
            "reply": {
                "address": {"location": "$message.header#/reply"},
                "channel": {"$ref": f"#/channels/{answers}"},
            }
        }

    def _operation(self, action: str, subject: Subject, by: str | None) -> dict[str, Any]:
        body = self._bodies.get(subject)
        said = {
            "action": action,
            "channel": {"$ref": f"#/channels/{self._names[subject]}"},
            "summary": EMPTY[subject] if body is None else _first_line(body),
        }
        return said if by is None else said | {"tags": [{"name": by}]}

    def _message(self, body: type[BaseModel]) -> dict[str, Any]:
        self._models.add(body)
        return {
            "name": body.__name__,
            "summary": _first_line(body),
            "payload": {"$ref": f"#/components/schemas/{body.__name__}"},
        }

    def text(self, **info: str) -> str:
        """The document as it is committed."""
        _, schemas = models_json_schema(
            [(model, "validation") for model in sorted(self._models, key=lambda m: m.__name__)],
            ref_template="#/components/schemas/{model}",
        )
        for model, bounds in _BOUNDS.items():
            for field, bound in bounds.items():
                schemas["$defs"][model]["properties"][field] |= bound
        document = {
            "asyncapi": "3.0.0",
            "info": info,
            **self._top,
            "defaultContentType": "application/json",
            "channels": dict(sorted(self._channels.items())),
            "operations": dict(sorted(self.operations.items())),
            "components": {"schemas": dict(sorted(schemas["$defs"].items())), **self._components},
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def bus_text(listed: Mapping[str, Iterable[Subscription]] | None = None) -> str:
    """All subjects. `listed` is what each service listens to; unless it is given, they are asked."""
    listed = listed or {name: subscriptions_of(name) for name in SERVICES}
    document = Document(names())
    for service, subscriptions in listed.items():
        for each in subscriptions:
            for name, subject in names().items():
                if each.rpc is not None and each.rpc.subject == subject:
                    document.add_request(f"answer_{name}", "receive", each.rpc, by=service)
                elif each.rpc is None and hears(each, subject):
                    verb = "hears" if each.durable is None else "consumes"
                    document.add(f"{service}_{verb}_{name}", "receive", subject, by=service)
        _add_what_is_published(document, service)
    return document.text(
        title="Headwater",
        version="1",
        description="The bus of Headwater. Fields are only added, with a default; readers ignore unknown ones.",
    )


def _add_what_is_published(document: Document, service: str) -> None:
    """What a service publishes; and the streams that it reads past its router, with consumers of its own."""
    followed = [pattern for stream in FOLLOWS.get(service, ()) for pattern in stream.subjects]
    for name, subject in names().items():
        if _plane_of(subject) != "rpc" and subject in {*PUBLISHES[service], *OF_ITSELF}:
            document.add(f"{service}_sends_{name}", "send", subject, by=service)
        if any(matches(subject, pattern) for pattern in followed):
            document.add(f"{service}_follows_{name}", "receive", subject, by=service)


def agent_text(listed: Iterable[Subscription] | None = None) -> str:
    """What agents say and hear, from their side. `listed` is what the ledger listens to."""
    listed = list(listed or subscriptions_of("runs"))
    theirs = {*agent_access.SAYS, *agent_access.HEARS}
    channels = {
        name.removeprefix("sig_").removeprefix("agent_"): subject
        for name, subject in names().items()
        if subject in theirs
    }
    document = Document(channels)
    requests = {each.rpc.subject: each.rpc for each in listed if each.rpc is not None}
    for name, subject in channels.items():
        if subject in requests:
            document.add_request(name, "send", requests[subject])
        else:
            action = "send" if subject in agent_access.SAYS else "receive"
            document.add(name, action, subject)
    document.serve_agents()
    return document.text(
        title="Headwater agents",
        version=VERSION,
        description=f"Protocol {PROTOCOL}; PROTOCOL.md tells it in words.",
    )


def _plane_of(subject: Subject) -> str:
    return subject.template.split(".")[1]


def _stream_of(subject: Subject) -> str:
    plane = f"hw.{_plane_of(subject)}.>"
    found = [stream.name for stream in STREAMS if plane in stream.subjects]
    return f" Kept in the stream {found[0]}." if found else ""


def _first_line(body: type[BaseModel]) -> str:
    return (body.__doc__ or "").strip().split("\n")[0]


if __name__ == "__main__":
    BUS_FILE.write_text(bus_text())
    AGENT_FILE.write_text(agent_text())
