"""Cycles, and what tasks are to one another."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.registry.domain.graph import Shapes, find_cycle, may_close_cycle

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14)


def test_a_diamond_has_no_cycle() -> None:
    assert find_cycle([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]) == []


def test_parallel_edges_are_no_cycle() -> None:
    assert find_cycle([("a", "b"), ("a", "b")]) == []


def test_a_task_that_follows_itself_is_a_cycle() -> None:
    assert find_cycle([("a", "a")]) == ["a", "a"]


def test_a_cycle_is_told_in_the_order_of_its_edges() -> None:
    cycle = find_cycle([("start", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "end")])

    rotations = (["a", "b", "c", "a"], ["b", "c", "a", "b"], ["c", "a", "b", "c"])
    assert cycle in rotations


@given(EDGES)
def test_a_cycle_that_is_found_is_made_of_edges(edges: list[tuple[int, int]]) -> None:
    cycle = find_cycle(edges)

    assert all(step in edges for step in pairwise(cycle))
    assert not cycle or (cycle[0] == cycle[-1] and len(cycle) > 1)


@given(EDGES)
def test_a_cycle_is_found_exactly_when_a_task_reaches_itself(edges: list[tuple[int, int]]) -> None:
    reached = set(edges)
    for middle in range(8):
        reached |= {
            (start, end)
            for start, first in list(reached)
            if first == middle
            for second, end in list(reached)
            if second == middle
        }

    assert bool(find_cycle(edges)) == any(start == end for start, end in reached)


@given(EDGES, EDGES)
def test_new_edges_that_close_a_cycle_with_old_ones_never_go_unnoticed(
    old: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    noticed = may_close_cycle(
        new,
        with_upstream={target for _, target in old},
        with_downstream={source for source, _ in old},
    )

    assert noticed or find_cycle(old) or not find_cycle(old + new)


def test_a_task_whose_edges_all_come_together_is_seen_to_close_no_cycle() -> None:
    assert not may_close_cycle([("b", "d"), ("b", "c")], with_upstream={"b"}, with_downstream={"a"})
    assert may_close_cycle([("b", "a")], with_upstream={"b"}, with_downstream={"a"})


def test_ten_thousand_tasks_in_a_row_are_no_trouble() -> None:
    row = [(n, n + 1) for n in range(10_000)]

    assert find_cycle(row) == []
    assert len(find_cycle([*row, (10_000, 0)])) == 10_002


def test_without_reference_tasks_a_flow_is_judged_by_its_terminal_tasks() -> None:
    shapes = Shapes([("a", "b", False)], reference_tasks=[])

    assert shapes.of("a", mapped=False).is_reference is False
    assert shapes.of("b", mapped=False).is_reference is True


def test_reference_tasks_that_are_named_are_the_only_ones() -> None:
    shapes = Shapes([("a", "b", False)], reference_tasks=["a"])

    assert shapes.of("a", mapped=False).is_reference is True
    assert shapes.of("b", mapped=False).is_reference is False


def test_a_mapped_edge_maps_the_task_it_leads_to() -> None:
    shapes = Shapes([("a", "b", True), ("b", "c", False)], reference_tasks=[])

    assert [shapes.of(slug, mapped=False).mapped for slug in "abc"] == [False, True, False]


def test_a_task_without_edges_is_root_and_terminal() -> None:
    alone = Shapes([], reference_tasks=[]).of("a", mapped=True)

    assert (alone.is_root, alone.is_terminal, alone.is_reference, alone.mapped) == (True,) * 4
