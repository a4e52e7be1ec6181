"""The lines of a service's list of what it listens to (`Router.subscriptions`)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from libs.contracts.base import Message, Rpc
from libs.contracts.streams import Durable
from libs.contracts.subjects import Subject
from libs.runtime.bus.benchmarks import Benchmark


class Kind(StrEnum):
    """The delivery guarantee of a subject."""

    VERB = "verb"
    AGENT_VERB = "verb of agents"
    DURABLE = "durable"
    BATCHES = "durable, in batches"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One line of a service's list. `lean` is None where FastStream calls the function."""

    subject: Subject | str
    kind: Kind
    function: str
    bodies: tuple[type[Message], ...] = ()
    durable: Durable | None = None
    rpc: Rpc[Any, Any] | None = None
    lean: Benchmark | None = None

    @property
    def template(self) -> str:
        """The subject as it is written in `libs/contracts`."""
        return self.subject.template if isinstance(self.subject, Subject) else self.subject
