"""What the agents of a tenant may publish and receive on NATS (ARCHITECTURE.md).

Defined once, for two users: `deploy/nats_users.py` as configuration, and the gateway when an agent logs in.
"""

from dataclasses import dataclass
from uuid import UUID

from libs.contracts import subjects
from libs.contracts.subjects import Subject, agent_inbox

REQUESTS: tuple[Subject, ...] = tuple(
    s for s in subjects.ALL if s.template.startswith("hw.rpc.agents.{tenant_id}.")
)
SAYS: tuple[Subject, ...] = (*REQUESTS, subjects.LOG, subjects.BEAT)
HEARS: tuple[Subject, ...] = (subjects.SIG_AGENT_WORK_READY, subjects.SIG_AGENT_CANCEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAccess:
    """Subject patterns. An agent may also answer each message once: the ledger needs to know that runs arrived."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def is_answerable(tenant_id: UUID, reply: str) -> bool:
    """Whether the answer to a request of this tenant's agents may go there: to their own inbox, and nowhere else.

    NATS checks the subject of a message, but not its reply subject. The answer is published with the rights of the
    service, so it could go to a subject that the agent itself may not publish to.
    """
    own, _, rest = reply.partition(f"{agent_inbox(tenant_id)}.")
    return not own and bool(rest) and rest.isprintable() and not set(rest) & _NO_LITERAL


_NO_LITERAL = frozenset("*> ")


def access_of(tenant_id: UUID) -> AgentAccess:
    """The tenant's own subjects, and answers to its agents' requests."""

    def of_tenant(subject: Subject) -> str:
        tokens = dict.fromkeys(subject.tokens, "*") | {"tenant_id": str(tenant_id)}
        return subject.at(**tokens)

    return AgentAccess(
        publish=tuple(sorted(map(of_tenant, SAYS))),
        subscribe=(f"{agent_inbox(tenant_id)}.>", *sorted(map(of_tenant, HEARS))),
    )
