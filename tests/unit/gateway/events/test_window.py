"""What is kept for clients that come back, and what they are told when it is not."""

from uuid import UUID

import pytest

from services.gateway.events.domain import (
    MOST_IN_MESSAGE,
    BadFilterError,
    Coalesced,
    Cursor,
    Filter,
    Gap,
    Hint,
    Window,
    cursor_of,
    life_of,
)

OURS, THEIRS = UUID(int=1), UUID(int=2)


def a_hint(number: int = 1, *, version: int = 1, kind: str = "flow_run") -> Hint:
    return Hint(kind=kind, id=UUID(int=number), change="state_changed", version=version)


def a_window(*, facts: int, most: int = 3) -> Window:
    window = Window(most)
    window.begin("a", after=0)
    for number in range(1, facts + 1):
        window.add(number, OURS, a_hint(number))
    return window


def test_a_client_is_told_what_came_after_its_place_and_only_its_tenants() -> None:
    window = a_window(facts=2)
    window.add(3, THEIRS, a_hint(3))

    found = window.since(Cursor("a", 1), OURS)

    assert not isinstance(found, Gap)
    assert [hint.id.int for hint in found] == [2]


@pytest.mark.parametrize(
    ("cursor", "is_told"),
    [
        (Cursor("a", 1), False),
        (Cursor("a", 2), True),
        (Cursor("a", 5), True),
        (Cursor("a", 6), False),
        (Cursor("b", 5), False),
    ],
)
def test_whoever_missed_what_is_not_kept_is_told_of_the_gap(cursor: Cursor, is_told: bool) -> None:
    window = a_window(facts=5, most=3)

    assert isinstance(window.since(cursor, OURS), Gap) is not is_told


def test_facts_that_were_dropped_before_they_were_read_are_a_gap() -> None:
    window = a_window(facts=2)
    window.lose(until=10)

    assert isinstance(window.since(Cursor("a", 2), OURS), Gap)
    assert not isinstance(window.since(Cursor("a", 10), OURS), Gap)


def test_a_fact_that_is_read_twice_is_told_once() -> None:
    window = a_window(facts=2)

    assert not window.add(2, OURS, a_hint(2))


def test_of_one_object_the_newest_hint_is_told() -> None:
    gathered = Coalesced()
    for version in (1, 3, 2):
        gathered.add(a_hint(version=version))

    assert [hint.version for hint in gathered.take()] == [3]
    assert not gathered


def test_of_too_many_objects_only_that_is_told() -> None:
    gathered = Coalesced()
    for number in range(MOST_IN_MESSAGE + 5):
        gathered.add(a_hint(number))

    assert gathered.is_flooded
    assert gathered.take() == []


def test_a_cursor_reads_as_it_was_written() -> None:
    cursor = Cursor(life_of("2026-11-30T07:02:18.123456789Z"), 12)

    assert cursor_of(str(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "12", "a-", "a-1-2", "A-1", "a-99999999999999999999", "é-1"])
def test_what_was_never_an_id_is_no_cursor(text: str) -> None:
    with pytest.raises(BadFilterError, match="Last-Event-ID"):
        cursor_of(text)


def test_a_filter_of_a_run_takes_its_task_runs_and_lines() -> None:
    wanted = Filter(flow_run=UUID(int=7))
    of_it = Hint(kind="log", id=UUID(int=7), change="written", flow_run_id=UUID(int=7))
    of_another = Hint(kind="task_run", id=UUID(int=9), change="x", flow_run_id=UUID(int=8))

    assert wanted.wants(of_it)
    assert not wanted.wants(of_another)
