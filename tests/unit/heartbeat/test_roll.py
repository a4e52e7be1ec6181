"""The roll knows who was heard last when, and names the longest silent first."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.ids import new_id
from services.heartbeat.roll import Roll

TENANT = new_id()
RUNS = [new_id() for _ in range(6)]


def pings(*runs: UUID, tenant: UUID = TENANT) -> dict[bytes, bytes]:
    return {str(run).encode(): str(tenant).encode() for run in runs}


def test_the_longest_silent_are_named_first_and_once() -> None:
    roll = Roll()
    first, second, third = RUNS[:3]
    roll.hear(pings(first, second), 1.0)
    roll.hear(pings(third), 2.0)
    roll.hear(pings(first), 3.0)

    assert roll.take_silent(0.5, limit=9) == []
    assert roll.take_silent(2.0, limit=1) == [second]
    assert roll.take_silent(2.0, limit=9) == [third]
    assert roll.take_silent(2.0, limit=9) == []
    assert roll.take_silent(3.0, limit=9) == [first]
    assert len(roll) == 0


def test_who_was_named_and_pings_again_is_on_the_roll_again() -> None:
    roll = Roll()
    roll.hear(pings(RUNS[0]), 1.0)
    roll.take_silent(1.0, limit=9)
    roll.hear(pings(RUNS[0]), 2.0)

    assert roll.was_heard(RUNS[0], TENANT, after=1.0)


def test_what_another_tenant_says_of_a_run_is_no_sign_of_life() -> None:
    roll = Roll()
    roll.hear(pings(RUNS[0], tenant=new_id()), 2.0)

    assert not roll.was_heard(RUNS[0], TENANT, after=1.0)


@pytest.mark.parametrize(("after", "heard"), [(0.9, True), (1.0, False)])
def test_a_run_was_heard_after_a_moment_or_not(after: float, heard: bool) -> None:
    roll = Roll()
    roll.hear(pings(RUNS[0]), 1.0)

    assert roll.was_heard(RUNS[0], TENANT, after=after) is heard
    assert not roll.was_heard(RUNS[1], TENANT, after=after)


def test_a_run_that_was_struck_out_is_not_named() -> None:
    roll = Roll()
    roll.hear(pings(*RUNS[:2]), 1.0)
    roll.strike(RUNS[0])
    roll.strike(RUNS[5])  # which was never heard

    assert roll.take_silent(1.0, limit=9) == [RUNS[1]]


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(range(6))), st.integers(0, 3), st.integers(0, 6)),
        max_size=30,
    )
)
def test_it_names_whoever_was_silent_for_three_rounds_and_nobody_else(
    rounds: list[tuple[set[int], int, int]],
) -> None:
    """Against a plain table of the rounds in which each was heard last; each round names at most some."""
    roll = Roll()
    table: dict[UUID, int] = {}
    for number, (speaking, struck, limit) in enumerate(rounds):
        roll.hear(pings(*(RUNS[i] for i in speaking)), number)
        table.update({RUNS[i]: number for i in speaking})
        roll.strike(RUNS[struck])
        table.pop(RUNS[struck], None)

        named = roll.take_silent(number - 3, limit=limit)

        silent = [run for run, last in table.items() if last <= number - 3]
        assert len(named) == min(limit, len(silent))
        assert set(named) <= set(silent)
        assert all(
            table[run] <= min((table[s] for s in silent if s not in named), default=99)
            for run in named
        )
        for run in named:
            del table[run]
