"""A registration in pieces: when it is one, which clients share one, and how it ends.

Core 1.x (since 0.15.5) sends the flow without tasks and edges, then its tasks, then its edges, 500 at a time until a
piece is not full; only then it starts the schedule. In between it reads nothing except the id from the first answer.

    create_flow --> draft --tasks, edges--> draft --last piece--> version n+1; the others of the group are archived
                      +---- nobody sends the rest ----> collected
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

from libs.contracts.base import JsonObject, Refused
from services.registry.domain.flows import NewFlow, Pieces, read_flow

SHARED_FOR = timedelta(minutes=1)
"""How long after its newest piece a draft is shared with a client that registers the same with the same key.

It is meant for repeated requests and for clients that register at the same time. A later registration makes a new
draft, because the tasks may have changed although key and document did not.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A flow whose pieces are still coming. Its id will be the flow's id."""

    id: UUID
    project_id: UUID
    name: str
    version_group_id: str | None
    idempotency_key: str | None
    description: str | None
    created_by: UUID | None
    document: JsonObject
    has_all_tasks: bool
    has_all_edges: bool

    def is_whole_with(self, pieces: Pieces, *, field: str) -> bool:
        """Whether these tasks or edges (`field`) complete the flow, in any order of the pieces."""
        others_are_there = self.has_all_edges if field == "tasks" else self.has_all_tasks
        return others_are_there and pieces.is_last


def is_first_piece(flow: NewFlow, *, set_schedule_active: bool | None) -> bool:
    """Whether tasks and edges are still to come.

    When a client wants the schedule started now, the flow is complete, although it names no tasks.
    """
    return not flow.has_parts and not set_schedule_active


def whole(
    draft: Draft, *, tasks: Iterable[JsonObject], edges: Iterable[JsonObject]
) -> NewFlow | Refused:
    """The flow made of all pieces, or why it is refused. Of duplicates the first counts."""
    return read_flow(
        {
            **draft.document,
            "tasks": _once(tasks, itemgetter("slug")),
            "edges": _once(edges, _identity),
        }
    )


def _once(parts: Iterable[JsonObject], identity: Callable[[JsonObject], Any]) -> list[JsonObject]:
    kept: dict[Any, JsonObject] = {}
    for part in parts:
        kept.setdefault(identity(part), part)
    return list(kept.values())


def _identity(edge: JsonObject) -> tuple[Any, Any, Any]:
    return _slug(edge["upstream_task"]), _slug(edge["downstream_task"]), edge.get("key") or ""


def _slug(end: Any) -> Any:
    return end["slug"] if isinstance(end, dict) else end
