"""Who may start under a concurrency limit, and what becomes of who may not."""

from datetime import timedelta
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.runs import RunKind
from libs.contracts.states import State
from services.runs.domain.concurrency_limits import (
    WAIT,
    Entered,
    Full,
    Limit,
    enter,
    enters,
    names_of,
    occupies,
    queued,
    still_waits,
)
from tests.unit.runs.builders import NOW, TENANT, a_state

NOBODY: frozenset[UUID] = frozenset()


def a_limit(limit: int = 1, name: str = "gpu", kind: RunKind = RunKind.FLOW_RUN) -> Limit:
    return Limit(id=uuid5(TENANT, name), tenant_id=TENANT, kind=kind, name=name, limit=limit)


@pytest.mark.parametrize("state", list(State))
def test_a_flow_run_occupies_its_slots_from_its_claim_until_it_is_no_longer_live(
    state: State,
) -> None:
    assert enters(RunKind.FLOW_RUN, state) is (state in {"Submitted", "Running"})
    assert occupies(RunKind.FLOW_RUN, state) is (state in {"Submitted", "Running", "Cancelling"})


@pytest.mark.parametrize("state", list(State))
def test_a_task_run_occupies_its_slots_while_it_is_running(state: State) -> None:
    assert enters(RunKind.TASK_RUN, state) is (state == "Running")
    assert occupies(RunKind.TASK_RUN, state) is (state in {"Running", "Cancelling"})


@pytest.mark.parametrize(
    ("used", "limit", "goes"),
    [(0, 1, True), (1, 1, False), (2, 1, False), (0, 0, False), (9, 10, True)],
)
def test_a_slot_is_free_while_fewer_are_in_use_than_the_limit(
    used: int, limit: int, goes: bool
) -> None:
    found = enter([(a_limit(limit), used)], held=NOBODY, is_at_work=False)

    assert found == (Entered((a_limit(limit),)) if goes else Full(a_limit(limit)))


def test_a_run_without_a_limited_label_needs_no_slot() -> None:
    assert enter([], held=NOBODY, is_at_work=False) == Entered(())


def test_a_run_that_has_its_slot_takes_no_second_one() -> None:
    limit = a_limit(1)

    assert enter([(limit, 1)], held=frozenset({limit.id}), is_at_work=False) == Entered(())


def test_a_run_at_work_goes_on_and_is_counted_beyond_the_limit() -> None:
    limit = a_limit(1)

    assert enter([(limit, 5)], held=NOBODY, is_at_work=True) == Entered((limit,))


def test_of_several_full_limits_the_first_by_name_is_told() -> None:
    found = enter(
        [(a_limit(1, "b"), 1), (a_limit(1, "a"), 1), (a_limit(1, "c"), 0)],
        held=NOBODY,
        is_at_work=False,
    )

    assert found == Full(a_limit(1, "a"))


@given(
    limits=st.dictionaries(
        st.sampled_from("abcdef"), st.tuples(st.integers(0, 3), st.integers(0, 3))
    )
)
def test_a_run_takes_all_its_slots_or_none(limits: dict[str, tuple[int, int]]) -> None:
    offered = [(a_limit(limit, name), used) for name, (limit, used) in limits.items()]

    found = enter(offered, held=NOBODY, is_at_work=False)

    full = {limit.name for limit, used in offered if used >= limit.limit}
    if full:
        assert isinstance(found, Full)
        assert found.limit.name == min(full)
    else:
        assert isinstance(found, Entered)
        assert {limit.name for limit in found.taken} == set(limits)


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"tags": ["a", "b"]}, {"stored", "a", "b"}),
        ({"tags": []}, {"stored"}),
        ({"tags": "a"}, {"stored"}),
        ({"tags": [1, None, "a"]}, {"stored", "a"}),
        ({}, {"stored"}),
    ],
)
def test_tags_are_those_of_the_registration_and_those_that_the_process_names(
    context: dict[str, object], expected: set[str]
) -> None:
    state = a_state("Running", context=context)

    assert names_of(RunKind.TASK_RUN, ["stored"], state) == expected
    assert names_of(RunKind.FLOW_RUN, ["stored"], state) == {"stored"}


@pytest.mark.parametrize(
    ("state", "ahead", "stands"),
    [
        ("Queued", timedelta(minutes=10), True),
        ("Queued", timedelta(minutes=5, microseconds=1), True),
        ("Queued", timedelta(minutes=5), False),
        ("Queued", timedelta(0), False),
        ("Scheduled", timedelta(minutes=10), False),
    ],
)
def test_a_queued_state_is_written_anew_before_agents_would_be_offered_the_run(
    state: str, ahead: timedelta, stands: bool
) -> None:
    assert still_waits(state, NOW + ahead, now=NOW) is stands


@pytest.mark.parametrize("wrapped", [[], ["Queued"], ["Submitted"], ["Submitted", "Queued"]])
def test_queued_wraps_the_state_that_the_process_takes_up_again(wrapped: list[str]) -> None:
    inner: dict[str, object] = {"type": "Retrying", "run_count": 2}
    for name in wrapped:
        inner = {"type": name, "state": inner}

    state = queued(a_limit(2, "db", RunKind.TASK_RUN), inner, names=["b", "a"], now=NOW)

    assert state.name == "Queued"
    assert state.start_time == NOW + WAIT
    assert state.document["state"] == {"type": "Retrying", "run_count": 2}
    assert state.document["context"] == {"tags": ["a", "b"]}
    assert state.message == "Waiting for a slot: 2 task runs with the tag 'db' may run at once."


def test_a_state_of_unknown_origin_still_waits() -> None:
    assert queued(a_limit(), {"type": "Queued"}, names=(), now=NOW).document["state"] is None
