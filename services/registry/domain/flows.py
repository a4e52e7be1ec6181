"""Serialized flows: their parts, and checks that Prefect's own server does not make.

A flow is checked as a whole before anything is stored, and every error names its field (`tasks.3.slug: ...`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.run_configs import complaint_about, complaint_about_environment
from services.registry.domain.documents import (
    UnreadableError,
    UnstorableError,
    decompress,
    encode,
    malformed,
)
from services.registry.domain.graph import Shape, Shapes, find_cycle
from services.registry.domain.parts import CacheKey, Name, Part, SlugText, complaint
from services.registry.domain.schedules import Schedule

# Schedules have clocks since this version; clients match on the refusal's text.
OLDEST_CORE = (0, 6, 1)
_VERSION = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?")
_MOST_RETRIES = 2**31 - 1  # the column is an integer
FULL_PIECE = 500  # what Core 1.x sends at once
_CYCLE_SHOWN = 8  # most tasks of a cycle that a message names

TRIGGERS = frozenset({
    "all_finished", "all_failed", "all_successful", "always_run", "any_failed", "any_successful",
    "manual_only", "not_all_skipped", "some_failed", "some_successful",
})  # fmt: skip


def _slug(value: Any) -> Any:
    """A task is named by its slug, or by an object that has one."""
    if isinstance(value, dict):
        if "slug" not in value:
            msg = "a slug is required"
            raise ValueError(msg)
        return value["slug"]
    return value


def _trigger(value: Any) -> Any:
    """The dotted name of a trigger function.

    Core writes its own functions and users' functions by module and name. So a name without a module is not a function,
    and an unknown name in Core's module is a mistake.
    """
    name = value.get("fn") if isinstance(value, dict) else value
    if not isinstance(name, str):
        msg = "a trigger is named by its function, as prefect.triggers.all_successful"
        raise ValueError(msg)
    if not all(name.split(".")) or "." not in name:
        msg = f"{name!r} is not the name of a trigger function: its module is missing"
        raise ValueError(msg)
    own = name.removeprefix("prefect.triggers.")
    if own != name and own.split(".")[0] not in TRIGGERS:
        msg = f"{name!r} is unknown; known are " + ", ".join(sorted(TRIGGERS))
        raise ValueError(msg)
    return name


Slug = Annotated[SlugText, BeforeValidator(_slug)]


class Task(Part):
    """One task."""

    slug: SlugText
    name: str | None = None
    description: str | None = None
    type: str | None = None
    auto_generated: bool = False
    tags: list[str] = []
    max_retries: Annotated[int, Field(ge=0, le=_MOST_RETRIES)] = 0
    retry_delay: Annotated[timedelta, Field(ge=timedelta(0))] | None = None
    cache_key: CacheKey | None = None
    trigger: Annotated[str, BeforeValidator(_trigger)] | None = None
    mapped: bool = False


class Edge(Part):
    """One edge, by the slugs of its ends."""

    upstream_task: Slug
    downstream_task: Slug
    key: Annotated[str, Field(max_length=500)] | None = None
    mapped: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """The identity of an edge; f(x, x) has two edges, which differ in their keys."""
        return self.upstream_task, self.downstream_task, self.key or ""


class Parameter(Part):
    """One parameter; older clients give only its slug, no name."""

    slug: SlugText
    name: str | None = None
    required: bool = False


class _Flow(Part):
    name: Name
    tasks: list[Task] = []
    edges: list[Edge] = []
    parameters: list[Parameter] = []
    reference_tasks: list[Slug] = []
    environment: dict[str, Any] | None = None
    run_config: dict[str, Any] | None = None
    storage: dict[str, Any] | None = None
    schedule: Schedule | None = None
    core_version: str | None = Field(default=None, alias="__version__")


_TASKS = TypeAdapter(list[Task])
_EDGES = TypeAdapter(list[Edge])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFlow:
    """A valid flow. `document` is its JSON text as it came; `schedule` is that part of it, or None.

    `has_parts`: the document names its tasks and edges (possibly none). Core 1.x first sends a flow without them, and
    the tasks and edges after it.
    """

    name: str
    has_parts: bool
    core_version: str | None
    document: str
    tasks: Sequence[Task]
    shapes: Sequence[Shape]
    edges: Sequence[Edge]
    required_parameters: frozenset[str]
    schedule: Mapping[str, Any] | None


def read_compressed_flow(compressed: str, *, limit: int) -> NewFlow | Refused:
    """A flow from base64(gzip(json)), or why it is refused."""
    try:
        serialized = decompress(compressed, limit=limit)
    except UnreadableError as error:
        return Refused(code=Code.FLOW_UNDECODABLE, fields={"reason": str(error)})
    return read_flow(serialized)


def read_flow(serialized: Any) -> NewFlow | Refused:
    """A flow from its JSON, or why it is refused."""
    if not isinstance(serialized, dict):
        return malformed("serialized_flow: a JSON object is expected")
    version = serialized.get("__version__")
    if isinstance(version, str) and (refused := _version_refusal(version)):
        return refused
    try:
        flow = _Flow.model_validate(serialized)
        document = encode(serialized, path="serialized_flow")
    except ValidationError as error:
        return malformed(complaint(error))
    except UnstorableError as error:
        return malformed(str(error))
    if reason := complaint_about(serialized.get("run_config")):
        return malformed(reason)
    if reason := complaint_about_environment(serialized.get("environment")):
        return malformed(reason)
    if refused := _structure_refusal(flow):
        return refused
    shapes = Shapes(
        ((e.upstream_task, e.downstream_task, e.mapped) for e in flow.edges),
        reference_tasks=flow.reference_tasks,
    )
    return NewFlow(
        name=flow.name,
        has_parts=any(serialized.get(field) is not None for field in ("tasks", "edges")),
        core_version=flow.core_version,
        document=document,
        tasks=flow.tasks,
        shapes=[shapes.of(task.slug, mapped=task.mapped) for task in flow.tasks],
        edges=flow.edges,
        required_parameters=frozenset(p.name or p.slug for p in flow.parameters if p.required),
        schedule=serialized.get("schedule") or None,
    )


def _version_refusal(version: str) -> Refused | None:
    found = _VERSION.match(version)
    if found is None:
        return malformed(f"__version__: {version!r} is not a version")
    if tuple(int(part or 0) for part in found.groups()) < OLDEST_CORE:
        return Refused(code=Code.FLOW_TOO_OLD, fields={"version": version})
    return None


def _structure_refusal(flow: _Flow) -> Refused | None:
    """Errors between the parts."""
    first_with: dict[str, int] = {}
    for index, task in enumerate(flow.tasks):
        if first_with.setdefault(task.slug, index) != index:
            first = first_with[task.slug]
            return malformed(f"tasks.{index}.slug: {task.slug!r} is the slug of tasks.{first} too")
    # A flow that comes in pieces has neither tasks nor edges yet, but may name its reference tasks.
    if flow.tasks:
        for index, slug in enumerate(flow.reference_tasks):
            if slug not in first_with:
                return malformed(f"reference_tasks.{index}: the flow has no task {slug!r}")
    if refused := unknown_task_refusal(flow.edges, known=first_with):
        return refused
    return cycle_refusal([(edge.upstream_task, edge.downstream_task) for edge in flow.edges])


def unknown_task_refusal(edges: Sequence[Edge], *, known: Mapping[str, Any]) -> Refused | None:
    """The refusal of edges whose ends are not among the tasks, or None."""
    for index, edge in enumerate(edges):
        for field, slug in (
            ("upstream_task", edge.upstream_task),
            ("downstream_task", edge.downstream_task),
        ):
            if slug not in known:
                reason = f"edges.{index}.{field}: the flow has no task {slug!r}"
                return Refused(code=Code.EDGES_UNKNOWN_TASKS, fields={"reason": reason})
    return None


def cycle_refusal(edges: Sequence[tuple[str, str]]) -> Refused | None:
    """The refusal of edges that lead back to where they started, or None."""
    cycle = find_cycle(edges)
    return cycle_refused(cycle) if cycle else None


def cycle_refused(cycle: Sequence[str]) -> Refused:
    """The refusal that names a cycle, shortened if it is long."""
    shown = [*cycle[:_CYCLE_SHOWN], *(["..."] if len(cycle) > _CYCLE_SHOWN else [])]
    return malformed("edges: they form a cycle: " + " -> ".join(shown))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Tasks or edges that are added to a flow, as read, as they came, and as JSON texts, in the same order.

    `sent` counts duplicates too.
    """

    parts: Sequence[Any]
    given: Sequence[Any]
    documents: Sequence[str]
    sent: int

    @property
    def is_last(self) -> bool:
        """Whether this is the last piece: clients send full pieces until one is not full."""
        return self.sent < FULL_PIECE


def read_tasks(serialized: Any) -> Pieces | Refused:
    """Tasks to be added, or why they are refused. The same slug twice is one task: the first."""
    return _read_pieces(_TASKS, serialized, path="tasks", identity=lambda task: task.slug)


def read_edges(serialized: Any) -> Pieces | Refused:
    """Edges to be added, or why they are refused. The same edge twice is one."""
    return _read_pieces(_EDGES, serialized, path="edges", identity=lambda edge: edge.identity)


def _read_pieces(adapter: Any, serialized: Any, *, path: str, identity: Any) -> Pieces | Refused:
    if serialized is None:
        serialized = []
    try:
        parts = adapter.validate_python(serialized)
        kept: dict[Any, tuple[Any, Any]] = {}
        for part, document in zip(parts, serialized, strict=True):
            kept.setdefault(identity(part), (part, document))
        documents = [
            encode(document, path=f"{path}.{index}")
            for index, (_, document) in enumerate(kept.values())
        ]
    except ValidationError as error:
        return malformed(complaint(error, path=path))
    except UnstorableError as error:
        return malformed(str(error))
    return Pieces(
        parts=[part for part, _ in kept.values()],
        given=[document for _, document in kept.values()],
        documents=documents,
        sent=len(serialized),
    )
