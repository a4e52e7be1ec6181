"""Who gets which run, how a lease stands, and what the end of a process means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.agents import Outcome, Standing
from libs.contracts.states import State
from services.runs.dispatch.domain import (
    Crashed,
    Due,
    Proposed,
    Released,
    Requeued,
    WaitingClaim,
    end_of_process,
    is_servable,
    lapse,
    lease_token,
    share,
    standing_of,
    submitted,
)
from services.runs.domain.transitions import FlowRun

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
SPACE = UUID(int=7)
TOKEN = UUID(int=8)


def id_of(*name: object) -> UUID:
    return uuid5(SPACE, repr(name))


def a_run(**fields: Any) -> FlowRun:
    submitted_run = FlowRun(
        id=id_of("run"),
        tenant_id=SPACE,
        flow_id=SPACE,
        version=2,
        state="Submitted",
        state_timestamp=NOW - timedelta(seconds=9),
        attempt=1,
        lease_token=TOKEN,
    )
    return replace(submitted_run, **fields)


labels = st.frozensets(st.sampled_from(["gpu", "eu", "big"]))
worlds = st.tuples(
    st.lists(labels, max_size=12), st.lists(st.tuples(labels, st.integers(1, 4)), max_size=6)
)


def world(
    drawn: tuple[list[frozenset[str]], list[tuple[frozenset[str], int]]],
) -> tuple[list[Due], list[WaitingClaim]]:
    due = [Due(id=id_of("run", n), labels=found) for n, found in enumerate(drawn[0])]
    waiting = [
        WaitingClaim(claim_id=id_of("claim", n), labels=found, capacity=room)
        for n, (found, room) in enumerate(drawn[1])
    ]
    return due, waiting


@given(worlds)
def test_a_run_goes_to_one_claim_that_may_have_it_and_has_room(drawn: Any) -> None:
    due, waiting = world(drawn)

    shared = share(due, waiting)

    given_away = [run for runs in shared.values() for run in runs]
    assert len(given_away) == len(set(given_away))
    runs = {run.id: run for run in due}
    for claim in waiting:
        got = shared.get(claim.claim_id, [])
        assert len(got) <= claim.capacity
        assert all(is_servable(runs[id_].labels, claim.labels) for id_ in got)


@given(worlds)
def test_no_run_is_left_while_a_claim_that_may_have_it_has_room(drawn: Any) -> None:
    due, waiting = world(drawn)

    shared = share(due, waiting)

    given_away = {run for runs in shared.values() for run in runs}
    for run in due:
        if run.id not in given_away:
            assert all(
                len(shared.get(claim.claim_id, [])) == claim.capacity
                for claim in waiting
                if is_servable(run.labels, claim.labels)
            )


@given(st.integers(0, 40), st.integers(1, 8))
def test_claims_alike_get_equal_shares(runs: int, claims: int) -> None:
    due, waiting = world(([frozenset()] * runs, [(frozenset(), 100)] * claims))

    sizes = [len(share(due, waiting).get(claim.claim_id, [])) for claim in waiting]

    assert max(sizes) - min(sizes) <= 1


def test_the_oldest_run_goes_to_the_claim_that_waited_longest() -> None:
    due, waiting = world(([frozenset()] * 2, [(frozenset(), 1)] * 2))

    assert share(due, waiting) == {
        id_of("claim", 0): [id_of("run", 0)],
        id_of("claim", 1): [id_of("run", 1)],
    }


@pytest.mark.parametrize(
    ("run", "agent", "expected"),
    [
        ((), (), True),
        ((), ("gpu",), False),
        (("gpu",), (), False),
        (("gpu",), ("gpu", "eu"), True),
        (("gpu", "eu"), ("gpu",), False),
    ],
)
def test_labels_match_as_the_queue_matches_them(
    run: tuple[str, ...], agent: tuple[str, ...], expected: bool
) -> None:
    assert is_servable(frozenset(run), frozenset(agent)) is expected


def test_a_token_is_the_claims_and_the_runs() -> None:
    assert lease_token(id_of(1), id_of(2)) == lease_token(id_of(1), id_of(2))
    assert lease_token(id_of(1), id_of(2)) != lease_token(id_of(3), id_of(2))
    assert lease_token(id_of(1), id_of(2)) != lease_token(id_of(1), id_of(3))


def test_a_submitted_state_wraps_the_innermost_ordinary_one() -> None:
    waiting = {"type": "Queued", "state": {"type": "Scheduled", "start_time": "x"}}

    state = submitted(waiting)

    assert state.name == "Submitted"
    assert state.document["state"] == {"type": "Scheduled", "start_time": "x"}


@pytest.mark.parametrize(
    ("state", "token", "expected"),
    [
        ("Submitted", TOKEN, Standing.HELD),
        ("Running", TOKEN, Standing.HELD),
        ("Queued", TOKEN, Standing.HELD),
        ("Cancelling", TOKEN, Standing.CANCEL),
        ("Cancelled", TOKEN, Standing.CANCEL),
        ("Success", TOKEN, Standing.OVER),
        ("Failed", TOKEN, Standing.OVER),
        ("Scheduled", TOKEN, Standing.LOST),
        ("Running", id_of("another"), Standing.LOST),
        ("Running", None, Standing.LOST),
        (None, None, Standing.LOST),
    ],
)
def test_how_a_lease_stands(state: str | None, token: UUID | None, expected: Standing) -> None:
    assert standing_of(state, token, held=TOKEN) is expected


def ending(run: FlowRun, outcome: Outcome, code: int | None = None) -> object:
    return end_of_process(run, outcome, exit_code=code, message=None, attempts=5, now=NOW)


def test_a_run_that_had_not_begun_is_queued_again_without_its_lease() -> None:
    found = ending(a_run(), Outcome.EXITED, 1)

    assert isinstance(found, Requeued)
    assert (found.moved.run.state, found.moved.run.version) == ("Scheduled", 3)
    assert found.moved.run.lease_token is None
    assert found.moved.state.start_time == NOW + timedelta(seconds=2)


def test_a_run_that_was_given_back_waits_for_nothing_and_was_not_tried() -> None:
    found = ending(a_run(attempt=9), Outcome.RETURNED)

    assert isinstance(found, Requeued)
    assert found.moved.state.start_time == NOW
    assert found.moved.run.attempt == 8


def test_a_run_that_will_not_start_is_failed_in_the_end() -> None:
    assert isinstance(ending(a_run(attempt=4), Outcome.VANISHED), Requeued)
    assert ending(a_run(attempt=5), Outcome.VANISHED) == Proposed(
        State.FAILED,
        "The flow run's process vanished while its agent was away. It was tried 5 times.",
    )


@pytest.mark.parametrize(
    ("state", "outcome", "code", "expected"),
    [
        ("Running", Outcome.EXITED, 0, Crashed),  # its tasks decide whether it waits
        ("Running", Outcome.EXITED, 1, Crashed),
        ("Running", Outcome.EXITED, 137, Crashed),
        ("Running", Outcome.VANISHED, None, Crashed),
        ("Running", Outcome.RETURNED, None, Released),
        ("Running", Outcome.UNSTARTED, None, Proposed),
        ("Cancelling", Outcome.EXITED, 130, Proposed),
        ("Cancelling", Outcome.RETURNED, None, Proposed),
        ("Submitted", Outcome.UNSTARTED, None, Proposed),
        ("Success", Outcome.EXITED, 137, Released),
        ("Cancelled", Outcome.VANISHED, None, Released),
        ("Scheduled", Outcome.EXITED, 0, Released),
    ],
)
def test_what_the_end_of_a_process_means(
    state: str, outcome: Outcome, code: int | None, expected: type
) -> None:
    assert type(ending(a_run(state=state), outcome, code)) is expected


def test_only_a_run_that_has_not_begun_lapses() -> None:
    assert isinstance(lapse(a_run(), attempts=5, now=NOW), Requeued)
    assert isinstance(lapse(a_run(attempt=5), attempts=5, now=NOW), Proposed)
    assert isinstance(lapse(a_run(state="Running"), attempts=5, now=NOW), Released)
    assert isinstance(lapse(a_run(lease_token=None), attempts=5, now=NOW), Released)
