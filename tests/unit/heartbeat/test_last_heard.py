"""The memory knows who was heard last when, by tenant and run, and names the longest silent first."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import subjects
from libs.runtime.ids import new_id
from services.heartbeat.domain.last_heard import LastHeard, key_in, key_of, run_in, tenant_in

TENANT, STRANGER = new_id(), new_id()
RUNS = [new_id() for _ in range(6)]
KEYS = [key_of(TENANT, run) for run in RUNS]
COARSE = 60.0


def knowing(*keys: bytes, at: float = 0.0, written: float = 0.0) -> LastHeard:
    memory = LastHeard()
    memory.add(dict.fromkeys(keys, written), at)
    return memory


def test_a_pings_subject_names_the_key_of_its_tenant_and_run() -> None:
    key = key_in(subjects.BEAT.at(tenant_id=TENANT, flow_run_id=RUNS[0]).encode())

    assert key == KEYS[0]
    assert (tenant_in(KEYS[0]), run_in(KEYS[0])) == (TENANT, RUNS[0])


def test_capital_letters_name_the_same_run() -> None:
    subject = f"hw.beat.{str(TENANT).upper()}.{str(RUNS[0]).upper()}"

    assert key_in(subject.encode()) == KEYS[0]


@pytest.mark.parametrize(
    "subject",
    [
        "hw.beat.a.b",
        f"hw.beat.{TENANT}",
        f"hw.beat.{TENANT}.{'x' * 36}",
        f"hw.beat.{'-' * 36}.{RUNS[0]}",
        f"hw.beat.{TENANT}.{'a' * 36}",
        f"hw.beat.{TENANT}." + "\u00ff" * 36,
    ],
    # The ids are new in each process, and workers must agree on the names of tests.
    ids=["words", "no_run", "no_hex", "dashes", "no_dashes", "no_ascii"],
)
def test_a_subject_that_names_no_two_ids_names_nobody(subject: str) -> None:
    assert key_in(subject.encode()) is None


def test_what_another_tenant_says_of_a_run_is_no_sign_of_life() -> None:
    memory = knowing(KEYS[0])

    _, unknown = memory.hear([key_of(STRANGER, RUNS[0])], 100, coarse=COARSE)

    assert unknown == [key_of(STRANGER, RUNS[0])]
    assert memory.heard_at(KEYS[0]) == 0
    assert memory.take_silent(50, limit=9) == {KEYS[0]: 0}


def test_who_is_not_known_takes_no_room() -> None:
    memory = LastHeard()

    _, unknown = memory.hear(KEYS, 1, coarse=COARSE)

    assert unknown == KEYS
    assert len(memory) == 0


def test_a_row_is_due_again_when_it_has_grown_old() -> None:
    memory = knowing(KEYS[0])

    assert memory.hear([KEYS[0]], 59, coarse=COARSE) == ([], [])
    assert memory.hear([KEYS[0]], 60, coarse=COARSE) == ([KEYS[0]], [])
    memory.wrote({KEYS[0]: 60})
    assert memory.hear([KEYS[0]], 90, coarse=COARSE) == ([], [])


def test_the_last_ping_of_who_stopped_is_late_until_it_is_written() -> None:
    memory = knowing(*KEYS[:3])
    memory.hear(KEYS[:3], 30, coarse=COARSE)
    memory.hear(KEYS[:1], 60, coarse=COARSE)
    memory.wrote({KEYS[1]: 30})

    assert memory.late(29) == {}
    assert memory.late(30) == {KEYS[2]: 30}
    assert memory.late(30) == {KEYS[2]: 30}, "an outage kept it from being written"
    memory.wrote({KEYS[2]: 30})
    assert memory.late(30) == {}
    assert memory.late(60) == {KEYS[0]: 60}


def test_a_start_is_no_ping_that_would_be_written_down() -> None:
    memory = LastHeard()
    memory.fill({KEYS[0]: 100}, 500)

    assert memory.late(1000) == {}
    assert memory.heard_at(KEYS[0]) == 500


def test_what_is_known_is_newer_than_what_the_table_says() -> None:
    memory = knowing(KEYS[0])
    memory.hear([KEYS[0]], 30, coarse=COARSE)

    memory.add({KEYS[0]: 10}, 20)

    assert memory.heard_at(KEYS[0]) == 30


def test_the_longest_silent_are_taken_first_and_once() -> None:
    first, second, third = KEYS[:3]
    memory = knowing(first, second, at=1)
    memory.add({third: 0}, 2)
    memory.hear([first], 3, coarse=COARSE)

    assert memory.take_silent(0.5, limit=9) == {}
    assert memory.take_silent(2, limit=1) == {second: 1}
    assert memory.has_silent(2)
    assert memory.take_silent(2, limit=9) == {third: 2}
    assert not memory.has_silent(2)
    assert memory.take_silent(3, limit=9) == {first: 3}
    assert len(memory) == 0


def test_who_is_to_be_looked_at_again_comes_at_that_time_and_before_others() -> None:
    memory = knowing(*KEYS[:2], at=10)
    memory.take_silent(10, limit=1)

    memory.look_again(KEYS[0], 5)

    assert not memory.has_silent(4)
    assert memory.take_silent(5, limit=9) == {KEYS[0]: 5}


def test_who_was_heard_again_need_not_be_looked_at() -> None:
    memory = knowing(KEYS[0])
    memory.take_silent(0, limit=1)
    memory.look_again(KEYS[0], 5)

    memory.add({KEYS[0]: 20}, 20)

    assert memory.take_silent(19, limit=9) == {}


def test_silent_ones_are_counted() -> None:
    memory = knowing(*KEYS[:4], at=1)
    memory.hear(KEYS[:1], 2, coarse=COARSE)

    assert [memory.silent(moment) for moment in (0, 1, 2)] == [0, 3, 4]


def test_a_run_that_was_forgotten_is_not_named() -> None:
    memory = knowing(*KEYS[:2])
    memory.forget(KEYS[0])
    memory.forget(KEYS[5])  # which was never known

    assert memory.take_silent(1, limit=9) == {KEYS[1]: 0}


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
    memory = LastHeard()
    table: dict[bytes, int] = {}
    for number, (speaking, forgotten, limit) in enumerate(rounds):
        _, unknown = memory.hear([KEYS[i] for i in sorted(speaking)], number, coarse=COARSE)
        memory.add(dict.fromkeys(unknown, number), number)
        table.update({KEYS[i]: number for i in speaking})
        memory.forget(KEYS[forgotten])
        table.pop(KEYS[forgotten], None)

        named = memory.take_silent(number - 3, limit=limit)

        silent = [key for key, last in table.items() if last <= number - 3]
        assert len(named) == min(limit, len(silent))
        assert named.items() <= table.items()
        assert all(
            table[key] <= min((table[s] for s in silent if s not in named), default=99)
            for key in named
        )
        for key in named:
            del table[key]


def test_memory_of_a_run_is_little_more_than_its_key_and_its_place() -> None:
    """Measured with a hundredth of them; the rest is what shared moments and the dictionary's growth make of it."""
    import tracemalloc  # noqa: PLC0415 - for this test alone

    keys = [key_of(TENANT, UUID(int=number)) for number in range(20_000)]
    tracemalloc.start()
    memory = LastHeard()
    for second in range(10):
        memory.add({key: float(-second) for key in keys[second::10]}, float(second))
        memory.hear(keys[second::10], second + 30.0, coarse=COARSE)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size / len(keys) < 300 - 65, "beside 65 bytes for the key, which is the listener's"
