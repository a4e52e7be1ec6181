"""Permissions on NATS: the subjects of each user. `python -m deploy.nats_users` prints them as configuration.

Written from `libs/contracts/subjects.py` and `streams.py`: the verbs of a service follow from the subject, its
consumers from the durables, and its publications from the table below. A test fails for a subject that no user may
publish, or none may receive. Deny by default: a user has only the listed permissions.

* Each service has an inbox of its own, so no other user can read its answers.
* Only `provision` may create or change a stream or a consumer. No user may read a whole stream, or delete one that is
  in use. Services may query the streams that they fill or consume, and fetch from their own durables.
* Agents of a tenant have that tenant's subjects of ARCHITECTURE.md, and no JetStream API at all. They are not listed:
  nats-server asks the gateway about every user that is not listed, and the gateway admits those with an API key. A
  tenant's agents can have a user here all the same (`--tenant`), for programs that cannot use a key.
* An operator of the bus, if there is one, may do everything (`--operator`).

Passwords are not here: the configuration refers to `$HEADWATER_NATS_<USER>_PASSWORD` in nats-server's environment. The
value must be in double quotes there, because nats-server parses it as configuration.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from libs.contracts import agent_access, streams, subjects
from libs.contracts.services import SERVICES
from libs.contracts.streams import Durable, Stream
from libs.contracts.subjects import AUTH_CALLOUT, Subject, agent_inbox, inbox_of

CONFIGURATION = Path(__file__).parent / "containers" / "nats-users.conf"
"""The committed result for the services and the provisioner; tests compare it with this module."""

PROVISION = "provision"
OPERATOR = "operator"
ISSUER_VARIABLE = "HEADWATER_NATS_ISSUER"
AGENTS = "agents"
"""In this table: the agents of the tenant in `{tenant_id}`."""

PUBLISHES: dict[str, tuple[Subject, ...]] = {
    "gateway": (
        *(
            s
            for s in subjects.ALL
            if s.template.startswith(
                ("hw.rpc.registry.", "hw.rpc.runs.", "hw.rpc.scheduler.", "hw.rpc.automations.")
            )
        ),
        subjects.LINES,
        subjects.BEAT,
        subjects.SIG_TASK_BEAT,
        subjects.SIG_KEY_CHANGED,
        subjects.SIG_RUN_DUE,  # of a work queue that was resumed
    ),
    "registry": (
        *(
            s
            for s in subjects.ALL
            if s.template.startswith(("hw.evt.flow.", "hw.evt.flow_group.", "hw.evt.project."))
        ),
    ),
    "runs": (
        subjects.FLOW_RUN_STATE_CHANGED,
        subjects.LINES,  # of agents, which do not publish into a stream themselves
        subjects.SIG_AGENT_WORK_READY,
        subjects.SIG_AGENT_CANCEL,
        subjects.SIG_RUN_DUE,
        subjects.SIG_CHANGED,
    ),
    "scheduler": (
        subjects.WORK_CREATE_SCHEDULED,
        subjects.WORK_CLEAR_SCHEDULED,
        subjects.WORK_FORGET_DELETED,
    ),
    "heartbeat": (subjects.FLOW_RUN_ZOMBIE_DETECTED,),
    "lazarus": (subjects.WORK_RESCHEDULE,),
    "automations": (
        # Only the automations may have secrets opened.
        *(s for s in subjects.ALL if s.template.startswith("hw.rpc.gateway.")),
        # Actions on runs are the commands that people give.
        subjects.SET_STATES,
        subjects.CREATE_FLOW_RUN,
        subjects.SET_SCHEDULE_ACTIVE,
    ),
    AGENTS: agent_access.SAYS,
}
"""The publications of each user. Answers, acknowledgements and the DLQ are added for consumers."""

OF_ITSELF = (subjects.SIG_SERVICE_ALIVE,)
"""The publications of every service, about itself only."""

HEARS: dict[str, tuple[Subject, ...]] = {
    "gateway": (
        *(s for s in subjects.ALL if s.template.startswith("hw.rpc.gateway.")),
        subjects.SIG_KEY_CHANGED,
        subjects.SIG_CHANGED,
        subjects.SIG_SERVICE_ALIVE,
    ),
    "registry": (*(s for s in subjects.ALL if s.template.startswith("hw.rpc.registry.")),),
    "runs": (
        *(s for s in subjects.ALL if s.template.startswith("hw.rpc.runs.")),
        *agent_access.REQUESTS,
        subjects.LOG,
        subjects.SIG_RUN_DUE,
    ),
    "scheduler": (subjects.PREVIEW_SCHEDULE,),
    "heartbeat": (subjects.BEAT, subjects.SIG_TASK_BEAT, subjects.SIG_SERVICE_ALIVE),
    "automations": (*(s for s in subjects.ALL if s.template.startswith("hw.rpc.automations.")),),
    AGENTS: agent_access.HEARS,
}
"""Direct subscriptions of each. Streams are read through durables, which need no subscription to their subjects."""

LETS_AGENTS_IN = "gateway"
"""The service that nats-server asks about users outside of its configuration (`services/gateway/agent_login.py`)."""

WATCHES: dict[str, tuple[tuple[Stream, Durable], ...]] = {
    "gateway": ((streams.LOGS, streams.LOG_DRAIN),),  # the ledger's progress with the lines
}
"""The durables whose progress each user may query."""

# The streams whose messages are pushed to people (`services/gateway/events`).
FOLLOWS: dict[str, tuple[Stream, ...]] = {"gateway": (streams.EVENTS,)}
"""Streams that each reads with ephemeral consumers of its own, which the server names and removes.

A request to this subject cannot name a durable, so it cannot change the position of another consumer.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A NATS user and all its permissions."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False
    """Whether it may answer each received request once, to any reply subject."""

    @property
    def password_variable(self) -> str:
        """The variable of nats-server's environment that holds its password."""
        return f"HEADWATER_NATS_{self.name.replace('-', '_').upper()}_PASSWORD"


def service_user(name: str) -> User:
    """One of the services."""
    durables = [
        (stream.name, durable.name)
        for stream in streams.ALL
        for durable in stream.durables
        if durable.service == name
    ]
    publish = {subject.wildcard for subject in PUBLISHES[name]}
    publish |= {subject.at(service=name) for subject in OF_ITSELF}
    for stream, durable in durables:
        publish |= {
            f"$JS.API.STREAM.INFO.{stream}",
            f"$JS.API.CONSUMER.INFO.{stream}.{durable}",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}",
            f"$JS.ACK.{stream}.{durable}.>",
            subjects.DLQ.at(service=name, noun=durable),
        }
    publish |= {
        f"$JS.API.STREAM.INFO.{stream.name}" for stream in streams.ALL if _fills(name, stream)
    }
    publish |= {
        f"$JS.API.CONSUMER.INFO.{stream.name}.{durable.name}"
        for stream, durable in WATCHES.get(name, ())
    }
    for followed in FOLLOWS.get(name, ()):
        publish |= {
            f"$JS.API.STREAM.INFO.{followed.name}",
            f"$JS.API.CONSUMER.CREATE.{followed.name}",
        }
    heard = HEARS.get(name, ())
    publish |= {f"{inbox}.>" for inbox in _callers(heard)}
    asked = (AUTH_CALLOUT,) if name == LETS_AGENTS_IN else ()
    return User(
        name=name,
        publish=tuple(sorted(publish)),
        subscribe=(f"{inbox_of(name)}.>", *asked, *sorted(subject.wildcard for subject in heard)),
        answers=bool(asked),
    )


def _fills(name: str, stream: Stream) -> bool:
    """Whether this service publishes to the stream, and so checks that it exists."""
    prefixes = tuple(pattern.removesuffix(">") for pattern in stream.subjects)
    return any(subject.template.startswith(prefixes) for subject in PUBLISHES[name])


def _callers(served: Iterable[Subject]) -> set[str]:
    """The inboxes that a server of these subjects answers to."""
    requests = {subject for subject in served if subject.template.startswith("hw.rpc.")}
    inboxes = {inbox_of(name) for name in SERVICES if requests & set(PUBLISHES[name])}
    if requests & set(PUBLISHES[AGENTS]):
        inboxes.add(agent_inbox("*"))
    return inboxes


def agent_user(tenant_id: UUID) -> User:
    """The agents of a tenant, if they have a user in the configuration."""
    access = agent_access.access_of(tenant_id)
    return User(
        name=f"agent-{tenant_id}",
        publish=access.publish,
        subscribe=access.subscribe,
        answers=True,
    )


def provision_user() -> User:
    """Makes streams and durables (`deploy/provision.py`); no access to Headwater's messages."""
    return User(
        name=PROVISION,
        publish=(
            "$JS.API.INFO",
            *(f"$JS.API.STREAM.{verb}.*" for verb in ("CREATE", "INFO", "UPDATE")),
            *(f"$JS.API.STREAM.DELETE.{name}" for name in streams.RETIRED),
            "$JS.API.CONSUMER.CREATE.>",
            "$JS.API.CONSUMER.DELETE.*.*",
            "$JS.API.CONSUMER.DURABLE.CREATE.*.*",
            "$JS.API.CONSUMER.INFO.*.*",
            "$JS.API.CONSUMER.LIST.*",
        ),
        subscribe=(f"{inbox_of(PROVISION)}.>",),
    )


def operator_user() -> User:
    """A person with the program `nats`: reads the DLQ, publishes its messages again, inspects streams."""
    return User(name=OPERATOR, publish=(">",), subscribe=(">",))


def users(tenants: Iterable[UUID] = (), *, with_operator: bool = False) -> tuple[User, ...]:
    """All users, with the agents of these tenants."""
    return (
        *(service_user(name) for name in SERVICES),
        provision_user(),
        *([operator_user()] if with_operator else []),
        *(agent_user(tenant) for tenant in tenants),
    )


def configuration(everybody: Iterable[User]) -> str:
    """The `authorization` block of nats-server."""
    everybody = tuple(everybody)
    head = "# Generated by `python -m deploy.nats_users`; a test fails when it is stale. Who may say and hear what.\n"
    return (
        head
        + "authorization {\n  users: [\n"
        + "".join(map(_entry, everybody))
        + "  ]\n"
        + "  # Agents log in with an API key, about which the gateway is asked.\n"
        + "  auth_callout {\n"
        + f"    issuer: ${ISSUER_VARIABLE}\n"
        + f"    auth_users: [{', '.join(json.dumps(user.name) for user in everybody)}]\n"
        + "  }\n}\n"
    )


def _entry(user: User) -> str:
    answers = '      allow_responses: { max: 1, ttl: "1m" }\n' if user.answers else ""
    return (
        "    {\n"
        f"      user: {json.dumps(user.name)}\n"
        f"      password: ${user.password_variable}\n"
        "      permissions: {\n"
        f"      publish: {{ allow: {_listed(user.publish)} }}\n"
        f"      subscribe: {{ allow: {_listed(user.subscribe)} }}\n"
        f"{answers}"
        "      }\n"
        "    }\n"
    )


def _listed(patterns: Iterable[str]) -> str:
    return "[" + "".join(f"\n        {json.dumps(pattern)}," for pattern in patterns) + "\n      ]"


def main() -> None:
    """Print the configuration, or write the committed one."""
    parser = argparse.ArgumentParser(prog="deploy.nats_users", description="NATS users.")
    parser.add_argument(
        "--tenant", action="append", default=[], type=UUID, help="also its agents; repeatable"
    )
    parser.add_argument(
        "--operator", action="store_true", help="also a person who may do everything"
    )
    parser.add_argument(
        "--write", action="store_true", help=f"write deploy/containers/{CONFIGURATION.name}"
    )
    arguments = parser.parse_args()
    text = configuration(users(arguments.tenant, with_operator=arguments.operator))
    if arguments.write:
        CONFIGURATION.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
