"""Concurrency limits: which runs occupy a slot, which get a free one, and what to do with the others.

A flow run occupies a slot of each limit on one of its labels from its claim (Submitted) until it is no longer live. A
task run occupies a slot of each limit on one of its tags while it is Running, but not beyond the end of its flow run. A
run takes all its slots together or none, so no run holds a slot while it waits for another one.

A run without a slot is Queued, which Core's runners support: the process stays, sleeps for its `queue_interval` (30 s)
and asks again. The stored `start_time` lies `WAIT` ahead, after which the run is offered to agents again; a process
that still asks moves that time forward, so only a run whose process died gets a new one
(gateway/reference/registration.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.base import JsonObject
from libs.contracts.runs import RunKind
from libs.contracts.states import LIVE_FAMILY, RUNNING_FAMILY, State
from services.runs.domain.states import META_STATES, RunState, make_state

WAIT = timedelta(minutes=10)
"""The longest wait in the process of Core's runners; Cloud made "a new runner every 10 minutes"."""
RENEW_BELOW = WAIT / 2
"""A process asks every 30 s; a history row for each time would be useless."""

_NOUNS = {RunKind.FLOW_RUN: ("flow runs", "label"), RunKind.TASK_RUN: ("task runs", "tag")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many runs with a label, or task runs with a tag, may run at once."""

    id: UUID
    tenant_id: UUID
    kind: RunKind
    name: str
    limit: int

    @property
    def sentence(self) -> str:
        """Why a run waits, for its state's message."""
        runs, name = _NOUNS[self.kind]
        return f"Waiting for a slot: {self.limit} {runs} with the {name} {self.name!r} may run at once."


@dataclass(frozen=True, slots=True)
class Entered:
    """The run has all its slots; `taken` are the limits with a new slot of it."""

    taken: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Full:
    """`limit` has no slot for the run, which therefore gets none at all."""

    limit: Limit


def enters(kind: RunKind, state: str) -> bool:
    """Whether a run that takes this state needs its slots."""
    if kind is RunKind.FLOW_RUN:
        return state in (State.SUBMITTED, State.RUNNING)
    return state == State.RUNNING


def occupies(kind: RunKind, state: str) -> bool:
    """Whether a run in this state keeps the slots it has."""
    return state in (LIVE_FAMILY if kind is RunKind.FLOW_RUN else RUNNING_FAMILY)


def enter(
    limits: Iterable[tuple[Limit, int]], *, held: frozenset[UUID], is_at_work: bool
) -> Entered | Full:
    """Whether a run may start under the `(limit, slots in use)` of its labels or tags; `held` are limits it has.

    A run that already runs goes on under limits that were made later; its slots are counted all the same.
    """
    missing = sorted(
        ((limit, used) for limit, used in limits if limit.id not in held),
        key=lambda pair: (pair[0].name, pair[0].id),
    )
    if not is_at_work:
        for limit, used in missing:
            if used >= limit.limit:
                return Full(limit)
    return Entered(tuple(limit for limit, _ in missing))


def names_of(kind: RunKind, stored: Iterable[str], state: RunState) -> frozenset[str]:
    """The labels or tags that limits may name: the row's own, and for a task run those its process names.

    Core writes a task's tags into each state's context, also tags that a flow gave a task after its registration.
    """
    if kind is RunKind.FLOW_RUN:
        return frozenset(stored)
    context = state.document.get("context")
    given = context.get("tags") if isinstance(context, dict) else None
    said = given if isinstance(given, list) else []
    return frozenset(stored) | {tag for tag in said if isinstance(tag, str)}


def still_waits(state: str, start_time: datetime | None, *, now: datetime) -> bool:
    """Whether the Queued state of a run that asks again is new enough to stay."""
    return state == State.QUEUED and start_time is not None and start_time - now > RENEW_BELOW


def queued(
    limit: Limit, serialized_state: JsonObject, *, names: Iterable[str], now: datetime
) -> RunState:
    """The state of a run that waits for a slot, wrapped around the state that its process will continue with.

    `serialized_state` is the run's current one; of a meta state the inner one is used.
    """
    inner: object = serialized_state
    while isinstance(inner, dict) and inner.get("type") in META_STATES:
        inner = inner.get("state")
    context = {"tags": sorted(names)} if limit.kind is RunKind.TASK_RUN else {}
    return make_state(
        State.QUEUED,
        limit.sentence,
        start_time=now + WAIT,
        state=inner,
        context=context,
        cached_inputs={},
    )
