"""The subscriptions of every service, printed from their routers: `python -m deploy.subscribers [service ...]`.

Nothing is connected: the services are only constructed.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from libs.contracts import streams
from libs.contracts.bodies import bodies
from libs.contracts.services import SERVICES
from libs.contracts.subjects import Subject
from libs.runtime.bus.subscriptions import Subscription
from libs.runtime.service import Service

_SURROUNDINGS: dict[str, dict[str, Any]] = {
    "gateway": {
        "reader_postgres_url": "postgresql://reader@localhost/headwater",
        "key_pepper": "no secret, and nothing is hashed",
        # So that it also answers nats-server about agents.
        "nats_issuer_seed": "0" * 64,
    }
}
"""Settings without which a service cannot be constructed."""


def declared(name: str) -> Service:
    """The service, put together and not connected, which has said what it listens to."""
    settings = getattr(import_module(f"services.{name}.settings"), f"{name.capitalize()}Settings")
    service: Service = import_module(f"services.{name}.app").build(
        settings(
            postgres_url=f"postgresql://{name}@localhost/headwater",
            nats_url="nats://localhost:4222",
            **_SURROUNDINGS.get(name, {}),
        )
    )
    service.declare()
    return service


def subscriptions_of(name: str) -> list[Subscription]:
    """The subscriptions of one service, in the order of their declaration."""
    return declared(name).bus.subscriptions


def hears(each: Subscription, subject: Subject) -> bool:
    """Whether some messages of the subject come to it. A durable that names classes leaves the rest unread."""
    if each.durable is None:
        return matches(subject, each.template)
    stream = next(stream for stream in streams.ALL if each.durable in stream.durables)
    carried = bodies().get(subject)
    return (
        any(matches(subject, pattern) for pattern in stream.subjects)
        and matches(subject, each.durable.filter)
        and (not each.bodies or carried in each.bodies)
    )


def matches(subject: Subject, pattern: str) -> bool:
    """Whether who listens to `pattern` (a template, or with `*` and `>`) hears some messages of the subject."""
    theirs, ours = subject.wildcard.split("."), pattern.split(".")
    if ours[-1] == ">":
        theirs, ours = theirs[: len(ours) - 1], ours[:-1]
    return len(theirs) == len(ours) and all(
        b == "*" or a in {"*", b} or b.startswith("{") for a, b in zip(theirs, ours, strict=True)
    )


def line_of(each: Subscription) -> str:
    """Subject, kind, function, and how it is called."""
    lane = "FastStream" if each.lean is None else f"lean, make bench only={each.lean}"
    durable = f" {each.durable.name}" if each.durable is not None else ""
    return f"  {each.template:45} {each.kind + durable:30} {each.function} ({lane})"


def main(names: Sequence[str]) -> None:
    """Print them."""
    for name in names:
        lines = [line_of(each) for each in subscriptions_of(name)]
        sys.stdout.write("\n".join([name, *(lines or ["  nothing"])]) + "\n\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m deploy.subscribers", description=__doc__)
    parser.add_argument("service", nargs="*", help=", ".join(SERVICES))
    main(parser.parse_args().service or SERVICES)
