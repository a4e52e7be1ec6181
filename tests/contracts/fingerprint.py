"""The shape of every message as a digest: a change of a field without a look at its readers fails a test.

`make generate` rewrites `fingerprints.json`; the diff is part of the review (checklist: only add, with a default).
"""

import hashlib
import json
from pathlib import Path

from libs.contracts import agents, heartbeat, registry, runs, scheduler
from libs.contracts.base import Message

FILE = Path(__file__).with_name("fingerprints.json")
MODULES = (agents, heartbeat, registry, runs, scheduler)


def fingerprints() -> dict[str, str]:
    """`module.Class` to the SHA-256 of its JSON Schema, sorted by name."""
    found = {}
    for module in MODULES:
        for name, value in vars(module).items():
            if (
                isinstance(value, type)
                and issubclass(value, Message)
                and value.__module__ == module.__name__
            ):
                schema = json.dumps(value.model_json_schema(), sort_keys=True)
                key = f"{module.__name__.removeprefix('libs.contracts.')}.{name}"
                found[key] = hashlib.sha256(schema.encode()).hexdigest()
    return dict(sorted(found.items()))


def write() -> None:
    """Freeze the present shapes."""
    FILE.write_text(json.dumps(fingerprints(), indent=2) + "\n")


if __name__ == "__main__":
    write()
