"""The protocol as AsyncAPI 3.0, made from `wire`; `make generate` writes it to `libs/agent/asyncapi.json`.

From the view of the agent: it sends requests, pings and logs, and receives answers and signals. The tenant is a
parameter of every channel.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from . import VERSION, wire

FILE = Path(__file__).with_name("asyncapi.json")

_VERBS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "hello": (wire.Hello, wire.Welcome),
    "claim": (wire.Claim, wire.Claimed),
    "renew": (wire.Renew, wire.Renewed),
    "report": (wire.Report, wire.Reported),
    "drain": (wire.Drain, wire.Applied),
}
_TENANT = {"tenant_id": {"description": "the tenant's id"}}
_RUN = _TENANT | {"flow_run_id": {"description": "the flow run's id"}}

# name: (address, parameters, body, whether the agent sends it, what it is)
_REST: dict[str, tuple[str, dict[str, Any], type[BaseModel] | None, bool, str]] = {
    "work_ready": (
        "hw.sig.agent.{tenant_id}.work_ready", _TENANT, wire.WorkReady, False,
        "Lossy: runs are due that nobody waits for; claim anew.",
    ),
    "cancel": (
        "hw.sig.agent.{tenant_id}.cancel.{flow_run_id}", _RUN, None, False,
        "Lossy: the run is to stop; renew, and obey the standing.",
    ),
    "ping": (
        "hw.beat.{tenant_id}.{flow_run_id}", _RUN, None, True,
        "Lossy: at least every half minute while the run's process lives.",
    ),
    "log": (
        "hw.log.{tenant_id}.{flow_run_id}", _RUN, wire.LogBatch, True,
        "A request: repeat what is not acknowledged.",
    ),
}  # fmt: skip


def document() -> dict[str, Any]:
    """The whole document."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for verb, (request, reply) in _VERBS.items():
        channels[verb] = {
            "address": f"hw.rpc.agents.{{tenant_id}}.{verb}",
            "parameters": _TENANT,
            "messages": {"request": _message(request)},
        }
        channels[f"{verb}_answer"] = {
            "address": None,
            "messages": {"applied": _message(reply), "refused": _message(wire.Refused)},
        }
        operations[verb] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{verb}"},
            "summary": (request.__doc__ or "").strip().splitlines()[0],
            "reply": {
                "address": {"location": "$message.header#/reply"},
                "channel": {"$ref": f"#/channels/{verb}_answer"},
            },
        }
    for name, (address, parameters, body, sends, summary) in _REST.items():
        channels[name] = {
            "address": address,
            "parameters": parameters,
            "messages": {"body": _message(body) if body else {"payload": {"type": "null"}}},
        }
        operations[name] = {
            "action": "send" if sends else "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": summary,
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Headwater agents",
            "version": VERSION,
            "description": f"Protocol {wire.PROTOCOL}; PROTOCOL.md tells it in words.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": _schemas()},
    }


def _message(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": model.__name__,
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }


def _schemas() -> dict[str, Any]:
    models = {model for pair in _VERBS.values() for model in pair} | {wire.Refused}
    models |= {body for _, _, body, _, _ in _REST.values() if body is not None}
    _, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda m: m.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
