"""Which JSON is a state, and what is kept of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.contracts.states import State
from services.runs.domain.states import (
    PAYLOAD_LIMIT,
    InvalidState,
    RunState,
    TooLarge,
    make_state,
    read_state,
)
from tests.unit.runs.builders import NOW, a_state


@pytest.mark.parametrize("name", list(State))
def test_every_state_is_accepted_with_its_type_alone(name: State) -> None:
    assert a_state(name).name == name


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({}, "{'type': ['Missing data for required field.']}"),
        ({"type": None}, "{'type': ['Missing data for required field.']}"),
        ({"type": "Nope"}, "{'type': ['Unsupported value: Nope']}"),
        ({"type": "State"}, "{'type': ['Unsupported value: State']}"),
        ({"type": ["Running"]}, "{'type': [\"Unsupported value: ['Running']\"]}"),
        ({"type": "Scheduled", "start_time": "soon"}, "{'start_time': ['Not a valid datetime.']}"),
        ({"type": "Scheduled", "start_time": 12}, "{'start_time': ['Not a valid datetime.']}"),
        ({"type": "Running", "message": 1}, "{'message': ['Not a valid string.']}"),
        ({"type": "Retrying", "run_count": "x"}, "{'run_count': ['Not a valid integer.']}"),
        ({"type": "Mapped", "n_map_states": []}, "{'n_map_states': ['Not a valid integer.']}"),
        ({"type": "Looped", "loop_count": ""}, "{'loop_count': ['Not a valid integer.']}"),
        ({"type": "Running", "context": []}, "{'context': ['Not a valid mapping type.']}"),
        ({"type": "Submitted", "state": {}}, "{'state': {'type': ['Missing data for required field.']}}"),
        ({"type": "Submitted", "state": "x"}, "{'state': {'_schema': [\"Invalid data type: 'x'\"]}}"),
        (None, "{'_schema': ['Invalid data type: None']}"),
        ([], "{'_schema': ['Invalid data type: []']}"),
        ("Running", "{'_schema': [\"Invalid data type: 'Running'\"]}"),
    ],
)  # fmt: skip
def test_what_is_not_a_state_is_refused_in_the_words_of_core(raw: Any, reason: str) -> None:
    assert read_state(raw, now=NOW) == InvalidState(reason)


def test_a_state_comes_back_as_it_was_sent() -> None:
    sent = {
        "type": "Cached",
        "message": "Task run succeeded.",
        "_result": {"type": "LocalResult", "dir": "/x", "location": "y", "__version__": "1.4.1"},
        "context": {"tags": ["a"]},
        "cached_inputs": {"x": {"type": "PrefectResult", "location": "1"}},
        "cached_parameters": {"n": 1},
        "cached_result_expiration": "2030-01-01T00:00:00+00:00",
        "hashed_inputs": {},
        "__version__": "1.4.1",
        "something_of_a_later_core": [1, 2.5, None],
    }

    state = read_state(sent, now=NOW)

    assert isinstance(state, RunState)
    assert state.document == sent


@pytest.mark.parametrize("count", [0, 3, 3.0, "3", " 3", None])
def test_a_count_is_taken_in_the_forms_that_core_reads(count: object) -> None:
    assert a_state("Retrying", run_count=count).name == "Retrying"


@pytest.mark.parametrize("name", ["Scheduled", "Resume", "Retrying", "Queued"])
def test_a_scheduled_state_without_a_start_time_starts_now(name: str) -> None:
    state = a_state(name)

    assert state.start_time == NOW
    assert state.document["start_time"] == "2026-11-22T12:00:00+00:00"


def test_a_paused_state_waits_for_ever() -> None:
    assert a_state("Paused").start_time is None


def test_a_start_time_without_an_offset_is_utc() -> None:
    state = a_state("Scheduled", start_time="2026-11-23T01:02:03")

    assert state.start_time == datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
    assert state.document["start_time"] == "2026-11-23T01:02:03"


def test_a_start_time_of_a_state_that_does_not_wait_is_not_a_due_time() -> None:
    assert a_state("Running", start_time="2026-11-23T01:02:03").start_time is None


def test_a_retry_counts_from_the_context_if_it_does_not_say() -> None:
    assert a_state("Retrying", context={"task_run_count": 3}).document["run_count"] == 3
    assert a_state("Retrying").document["run_count"] == 1
    assert a_state("Retrying", run_count=2).document["run_count"] == 2


def test_a_submitted_state_wraps_the_innermost_ordinary_state() -> None:
    inner = {"type": "Retrying", "run_count": 2}

    state = a_state(
        "Submitted", state={"type": "Queued", "state": {"type": "Submitted", "state": inner}}
    )

    assert state.document["state"] == inner


def test_a_meta_state_nested_a_thousand_deep_is_read_without_recursion() -> None:
    nested: dict[str, Any] = {"type": "Scheduled"}
    for _ in range(200):
        nested = {"type": "Submitted", "state": nested}

    assert a_state("Submitted", state=nested).document["state"] == {"type": "Scheduled"}


def test_the_payload_limit_is_in_bytes_and_inclusive() -> None:
    empty = len('{"type":"Failed","message":"","context":{},"cached_inputs":{}}')
    longest = "x" * (PAYLOAD_LIMIT - empty)

    assert a_state("Failed", message=longest, context={}, cached_inputs={}).message == longest
    for longer in (longest + "x", "ü" * (PAYLOAD_LIMIT // 2)):
        state = a_state("Failed", message=longer, context={}, cached_inputs={})

        assert "characters were cut here" in (state.message or "")
        assert len(state.text.encode()) <= PAYLOAD_LIMIT
        assert state.message == state.document["message"]


def test_a_traceback_of_three_megabytes_is_cut_wherever_it_stands() -> None:
    traceback = "Traceback\n" + "  line\n" * 450_000 + "ValueError: row 7"

    state = a_state("ClientFailed", message="short", state={"type": "Failed", "message": traceback})

    inner = state.document["state"]["message"]
    assert inner.startswith("Traceback\n")
    assert inner.endswith("ValueError: row 7")
    assert state.message == "short"


def test_a_context_that_is_too_large_is_left_out_and_the_message_says_so() -> None:
    state = a_state("Failed", message="no", context={"tags": [str(n) for n in range(200_000)]})

    assert state.document["context"] == {}
    assert state.message == "no\n[the context of this state was too large and is left out]"


@pytest.mark.parametrize("data", ["_result", "cached_inputs", "cached_parameters", "hashed_inputs"])
def test_what_other_tasks_compute_with_is_refused_rather_than_cut(data: str) -> None:
    state = {"type": "Success", "message": "ok", data: {"value": "x" * PAYLOAD_LIMIT}}

    assert isinstance(read_state(state, now=NOW), TooLarge)


def test_what_no_database_holds_is_replaced() -> None:
    state = a_state(
        "Failed",
        message="row 7: a\x00b",
        context={"caf\ud8e9": "\udcff", "rate": float("nan"), "x\0": 1},
    )

    assert state.message == "row 7: a�b"
    assert state.document["context"] == {"caf�": "�", "rate": "NaN", "x�": 1}


def test_text_that_only_looks_like_an_escape_stays() -> None:
    assert a_state("Failed", message=r"C:\u0000").message == r"C:\u0000"


def test_numbers_beyond_64_bits_survive() -> None:
    assert '"big":100000000000000000000' in a_state("Success", big=10**20).text


def test_states_of_our_own_hold_what_all_clients_load() -> None:
    assert make_state(State.PENDING, "Task run created").document == {
        "type": "Pending",
        "message": "Task run created",
    }
    assert make_state(State.SCHEDULED, "go", start_time=NOW).document == {
        "type": "Scheduled",
        "message": "go",
        "start_time": "2026-11-22T12:00:00+00:00",
    }
