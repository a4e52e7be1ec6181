"""The shapes that all messages share: `Message`, `Event`, the closed union of replies, and `Rpc`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, Union
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from libs.contracts.errors import Code
from libs.contracts.subjects import Subject

JsonObject = dict[str, Any]


class Message(BaseModel):
    """A body on the bus: frozen, JSON, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def encoded(self) -> bytes:
        """The message as JSON. The same value as `model_dump_json`, at a fifth of the time where orjson can write it:
        pydantic looks at each value of a free-form object anew."""
        try:
            return orjson.dumps(self, default=_plain)
        except TypeError:
            # An integer beyond 64 bits, a duration, or another value that orjson does not write.
            return self.model_dump_json().encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return value.__dict__
    if isinstance(value, UUID):
        # asyncpg's are of its own class.
        return str(value)
    raise TypeError


class Event(Message):
    """A fact in the past tense. `event_id` is also its `Nats-Msg-Id`; consumers are idempotent by it."""

    subject: ClassVar[Subject]

    event_id: UUID
    at: datetime
    tenant_id: UUID


class Refused(Message):
    """A command that was understood and not done. `fields` are the values in the gateway's text for `code`
    (`compat`)."""

    kind: Literal["refused"] = "refused"
    code: Code
    fields: dict[str, str] = {}


class Applied(Message):
    """A command that was done. `id` is the object that it made or changed; `success` false means there was nothing to
    do."""

    kind: Literal["applied"] = "applied"
    id: UUID | None = None
    success: bool = True


Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)


@dataclass(frozen=True, slots=True)
class Rpc(Generic[Req, Rep]):
    """One request/reply verb: its subject, its request, its reply (`Rep`, or `Refused`).

    `timeout` is in seconds, for a verb that may take longer than the callers' usual time.
    """

    subject: Subject
    request: type[Req]
    reply: type[Rep]
    timeout: float | None = None

    def adapter(self) -> TypeAdapter[Any]:
        """The union of replies, distinguished by `kind`."""
        # By `kind` alone: pydantic would otherwise read each reply as either and compare, at twice the cost.
        by_kind = Field(discriminator="kind")
        either: Any = Annotated[Union[self.reply, Refused], by_kind]  # noqa: UP007 - a union made at run time
        return TypeAdapter(either)
