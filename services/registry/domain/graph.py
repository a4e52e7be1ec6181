"""The graph of a flow's tasks."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The role of a task in its flow."""

    mapped: bool
    is_root: bool
    is_terminal: bool
    is_reference: bool


class Shapes:
    """The roles of all tasks of a flow, from its edges (upstream, downstream, mapped).

    Without reference tasks of its own a flow is judged by its terminal tasks, as Core does.
    """

    def __init__(
        self, edges: Iterable[tuple[str, str, bool]], *, reference_tasks: Collection[str]
    ) -> None:
        self._with_upstream: set[str] = set()
        self._with_downstream: set[str] = set()
        self._mapped: set[str] = set()
        self._reference = frozenset(reference_tasks)
        for upstream, downstream, mapped in edges:
            self._with_downstream.add(upstream)
            self._with_upstream.add(downstream)
            if mapped:
                self._mapped.add(downstream)

    def of(self, slug: str, *, mapped: bool) -> Shape:
        """The shape of one task; it is mapped if it says so or if an edge into it does."""
        is_terminal = slug not in self._with_downstream
        return Shape(
            mapped=mapped or slug in self._mapped,
            is_root=slug not in self._with_upstream,
            is_terminal=is_terminal,
            is_reference=slug in self._reference if self._reference else is_terminal,
        )


def find_cycle(edges: Collection[tuple[Node, Node]]) -> list[Node]:
    """The tasks of one cycle in the order of its edges, the first one repeated at the end; empty if there is none."""
    stuck = _stuck(edges)
    return _walk_back(stuck, edges) if stuck else []


def may_close_cycle(
    new: Collection[tuple[Node, Node]],
    *,
    with_upstream: Collection[Node],
    with_downstream: Collection[Node],
) -> bool:
    """Whether new edges may be part of a cycle, decided without reading the existing edges.

    `with_upstream` and `with_downstream` are the tasks that edges already there lead to, and away from. False is
    certain: every task of a cycle has an edge in and an edge out of the cycle. So a task that only roots lead to, or
    that leads only to ends, is on none. For edges in Core's order, all those of a task together, this is mostly enough.
    """
    waiting = _stuck(new, blocked=with_upstream)
    backwards = [(target, source) for source, target in new if source in waiting]
    waiting = _stuck(backwards, blocked=with_downstream)
    return any(target in waiting for target, _ in backwards)


def _stuck(edges: Collection[tuple[Node, Node]], *, blocked: Collection[Node] = ()) -> set[Node]:
    """The tasks that would wait for ever, if each waits for its upstream tasks and those in `blocked` never start."""
    waiting: dict[Node, int] = dict.fromkeys(blocked, 1)
    downstream: defaultdict[Node, list[Node]] = defaultdict(list)
    for source, target in edges:
        waiting[target] = waiting.get(target, 0) + 1
        downstream[source].append(target)
    ready = [node for node in downstream if node not in waiting]
    while ready:
        for target in downstream.pop(ready.pop(), ()):
            if waiting[target] == 1:
                del waiting[target]
                ready.append(target)
            else:
                waiting[target] -= 1
    return set(waiting)


def _walk_back(stuck: set[Node], edges: Iterable[tuple[Node, Node]]) -> list[Node]:
    """Every stuck node waits for another stuck one, so a walk upstream finally comes to a node again."""
    blocker = {target: source for source, target in edges if source in stuck and target in stuck}
    path: list[Node] = [next(iter(blocker))]
    seen: dict[Node, int] = {path[0]: 0}
    while True:
        node = blocker[path[-1]]
        path.append(node)
        if node in seen:
            return path[seen[node] :][::-1]
        seen[node] = len(path) - 1
