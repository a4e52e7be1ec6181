"""The subscriptions: what changes in the caller's tenant, as it is sent on `GET /events` too."""

from collections.abc import AsyncGenerator
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

import strawberry
from strawberry.types import Info

from services.gateway.events.domain import Filter, Hint
from services.gateway.events.frames import Frame


@strawberry.enum(name="event_status", description="What a message of a subscription says.")
class EventStatus(Enum):
    """The events of `GET /events`, but for `end`: that closes the socket."""

    open = strawberry.enum_value(
        "open", description="The subscription has begun; `events` is empty."
    )
    hints = strawberry.enum_value(
        "hints", description="`events` have changed; without any it only moves `cursor` on."
    )
    gap = strawberry.enum_value(
        "gap", description="Something was missed, for `reason`: look at everything anew."
    )
    stale = strawberry.enum_value("stale", description="Nothing is heard for now, for `reason`.")
    fresh = strawberry.enum_value(
        "fresh",
        description="Facts are heard again and none was missed; look at task runs and logs anew.",
    )


@strawberry.type(name="changed_object", description="One object that is worth looking at again.")
class ChangedObject:
    """A hint, as it is sent."""

    kind: str = strawberry.field(description="flow_run, task_run, log or agent")
    id: UUID = strawberry.field(description="Of a log, its flow run's.")
    change: str = strawberry.field(
        description="What happened: state_changed, written, changed, ..."
    )
    version: int | None = strawberry.field(description="The version that it has now.")
    state: str | None = strawberry.field(description="The state that it has now.")
    flow_id: UUID | None
    flow_group_id: UUID | None
    flow_run_id: UUID | None


@strawberry.type(name="event_message", description="One message: four a second at most.")
class EventMessage:
    """The same object for all who listen, so that what is resolved of it is resolved once."""

    status: EventStatus
    reason: str | None = strawberry.field(description="Why, of `gap` and `stale`.")
    cursor: str | None = strawberry.field(
        description="Where this is in the stream of events; send the last one as `after` to go on from there."
    )
    events: list[ChangedObject] = strawberry.field(
        description="What has changed; of one object the newest."
    )
    renderings: strawberry.Private[dict[Any, bytes]]
    """Results that were rendered, by what was asked."""


class Listens(Protocol):
    """The context of subscriptions."""

    def listen(self, wanted: Filter, after: str | None) -> AsyncGenerator[Frame, None]:
        """The frames from the cursor on."""


Events = AsyncGenerator[EventMessage, None]
_Info = Info[Listens, None]


async def _flow_run_events(
    info: _Info,
    flow_id: UUID | None = None,
    flow_run_id: UUID | None = None,
    after: str | None = None,
) -> Events:
    wanted = Filter(kinds=frozenset({"flow_run"}), flow=flow_id, flow_run=flow_run_id)
    async for frame in info.context.listen(wanted, after):
        yield message_of(frame)


async def _task_run_events(info: _Info, flow_run_id: UUID | None = None) -> Events:
    wanted = Filter(kinds=frozenset({"task_run"}), flow_run=flow_run_id)
    async for frame in info.context.listen(wanted, None):
        yield message_of(frame)


async def _logs(info: _Info, flow_run_id: UUID) -> Events:
    wanted = Filter(kinds=frozenset({"log"}), flow_run=flow_run_id)
    async for frame in info.context.listen(wanted, None):
        yield message_of(frame)


async def _agent_events(info: _Info) -> Events:
    async for frame in info.context.listen(Filter(kinds=frozenset({"agent"})), None):
        yield message_of(frame)


@strawberry.type
class Subscription:
    """Four fields, one source."""

    flow_run_events: Events = strawberry.subscription(
        resolver=_flow_run_events,
        description="New states of flow runs: of all, of one version or group of flows (`flow_id`), or of one run. With"
        " `after`, a cursor, it begins with what happened since.",
    )
    task_run_events: Events = strawberry.subscription(
        resolver=_task_run_events,
        description="New states of task runs: of all, or of one flow run. They may be lost; `gap` and `fresh` say when"
        " to look anew.",
    )
    logs: Events = strawberry.subscription(
        resolver=_logs,
        description="New log lines of a flow run can be read: query `log` from the last one that you have.",
    )
    agent_events: Events = strawberry.subscription(
        resolver=_agent_events,
        description="Agents that registered, were deleted, fell silent or are heard of again.",
    )


def message_of(frame: Frame) -> EventMessage:
    """A frame, as GraphQL shows it; made once."""
    if frame.shown is None:
        frame.shown = EventMessage(
            status=EventStatus(frame.event),
            reason=frame.reason,
            cursor=None if frame.cursor is None else str(frame.cursor),
            events=[_changed(hint) for hint in frame.hints],
            renderings={},
        )
    shown: EventMessage = frame.shown
    return shown


def _changed(hint: Hint) -> ChangedObject:
    return ChangedObject(
        kind=hint.kind,
        id=hint.id,
        change=hint.change,
        version=hint.version,
        state=hint.state,
        flow_id=hint.flow_id,
        flow_group_id=hint.flow_group_id,
        flow_run_id=hint.flow_run_id,
    )
