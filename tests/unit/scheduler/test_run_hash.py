"""What sets apart two runs of one instant."""

import pytest

from services.scheduler.domain.schedules import run_hash


def test_parameters_that_are_anagrams_of_each_other_are_different_runs() -> None:
    # The peer hashes the sorted characters of the JSON, so these two are one run there.
    assert run_hash({"x": 12}, None) != run_hash({"x": 21}, None)


def test_labels_that_are_anagrams_of_each_other_are_different_runs() -> None:
    assert run_hash({}, ["gpu", "a"]) != run_hash({}, ["pug", "a"])


def test_the_order_of_parameters_does_not_matter() -> None:
    assert run_hash({"a": 1, "b": 2}, []) == run_hash({"b": 2, "a": 1}, [])


def test_no_labels_and_the_flows_own_labels_are_different() -> None:
    assert run_hash({}, None) != run_hash({}, [])


@pytest.mark.parametrize("value", [{"x": "ä"}, {"x": None}, {"x": 1.5}, {"x": {"y": [1]}}])
def test_whatever_json_can_say_can_be_hashed(value: dict[str, object]) -> None:
    assert len(run_hash(value, None)) == 64


def test_the_hash_is_of_canonical_json() -> None:
    # sha256 of [{"x":1},["a"]], by hand: it is in the ledger's keys and must never change.
    assert (
        run_hash({"x": 1}, ["a"])
        == "0cb7edacd860f5870604f5f770f65b252824715ca3f7ca9d659d73d10b06b30d"
    )
