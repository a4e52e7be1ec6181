"""What is in a new run."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from services.runs.domain.creation import (
    FlowFacts,
    effective_labels,
    effective_parameters,
    effective_run_config,
    missing_parameters,
)


def a_flow(**fields: Any) -> FlowFacts:
    flow = FlowFacts(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        flow_group_id=UUID(int=3),
        archived=False,
        is_schedule_active=True,
        parameters=[],
        run_config=None,
        environment=None,
        group_labels=None,
        group_run_config=None,
        group_default_parameters={},
    )
    return replace(flow, **fields)


@pytest.mark.parametrize("default", [0, False, "", [], {}, None, 1, "x"])
def test_a_default_is_a_default_whatever_its_truth(default: object) -> None:
    flow = a_flow(parameters=[{"name": "x", "required": False, "default": default}])

    assert effective_parameters(flow, None) == {"x": default}


def test_what_is_given_wins_over_the_group_and_the_group_over_the_flow() -> None:
    parameters = [{"name": n, "required": False, "default": "flow"} for n in "abc"]
    flow = a_flow(parameters=parameters, group_default_parameters={"b": "group", "c": "group"})

    assert effective_parameters(flow, {"c": "given", "unknown": 1}) == {
        "a": "flow",
        "b": "group",
        "c": "given",
        "unknown": 1,
    }


def test_required_parameters_that_nobody_gave_are_named() -> None:
    parameters = [{"name": n, "required": True, "default": None} for n in "zyx"]
    flow = a_flow(parameters=parameters, group_default_parameters={"y": None})

    assert missing_parameters(flow, effective_parameters(flow, {})) == ["x", "z"]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({}, []),
        ({"environment": {"labels": ["env"]}}, ["env"]),
        ({"environment": {"labels": ["env"]}, "run_config": {"labels": ["flow"]}}, ["flow"]),
        ({"run_config": {"labels": ["flow"]}, "group_run_config": {"labels": ["group config"]}}, ["group config"]),
        ({"group_run_config": {"labels": ["group config"]}, "group_labels": ["group"]}, ["group"]),
        ({"run_config": {"labels": ["flow"]}, "group_labels": []}, []),
        ({"run_config": {"labels": None}, "environment": {"labels": ["env"]}}, ["env"]),
        ({"run_config": {"type": "LocalRun"}, "environment": {"labels": ["env"]}}, ["env"]),
    ],
)  # fmt: skip
def test_the_nearest_level_that_speaks_of_labels_wins(
    levels: dict[str, Any], expected: list[str]
) -> None:
    assert effective_labels(a_flow(**levels), None, None) == expected


def test_the_runs_own_labels_win_and_are_sorted_and_unique() -> None:
    flow = a_flow(group_labels=["group"])

    assert effective_labels(flow, ["b", "a", "b"], {"labels": ["c"]}) == ["a", "b"]
    assert effective_labels(flow, None, {"labels": ["c"]}) == ["c"]
    assert effective_labels(flow, [], {"labels": ["c"]}) == []


def test_the_nearest_run_config_wins() -> None:
    flow = a_flow(run_config={"at": "flow"}, group_run_config={"at": "group"})

    assert effective_run_config(flow, {"at": "run"}) == {"at": "run"}
    assert effective_run_config(flow, None) == {"at": "group"}
    assert effective_run_config(replace(flow, group_run_config=None), None) == {"at": "flow"}
