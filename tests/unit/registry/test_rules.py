"""Versions, idempotency keys, settings, and the arguments of commands."""

from typing import Any
from uuid import UUID

import pytest

from libs.contracts.errors import Code
from services.registry.domain.registration import (
    Group,
    first_settings,
    group_change_refusal,
    project_name_refusal,
    repeats,
    safeguard_changes,
    safeguards,
    without_repeats,
)


def a_group(last_key: str | None) -> Group:
    """A group that remembers this key."""
    return Group(
        id=UUID(int=1),
        name="g",
        settings=first_settings() | {"idempotency_key": last_key},
        default_parameters={},
        schedule=None,
        last_version=3,
    )


@pytest.mark.parametrize(
    ("remembered", "given", "expected"),
    [
        ("k", "k", True),
        ("k", "other", False),
        ("k", None, False),
        (None, None, False),
        (None, "k", False),
        ("", "", False),
    ],
)
def test_a_registration_repeats_only_the_last_key(
    remembered: str | None,
    given: str | None,
    expected: bool,
) -> None:
    assert repeats(a_group(remembered), given) is expected


def test_a_flow_shows_safeguards_but_no_key() -> None:
    assert safeguards(first_settings()) == {
        "heartbeat_enabled": True,
        "disable_heartbeat": False,
        "lazarus_enabled": True,
        "version_locking_enabled": False,
    }


@pytest.mark.parametrize("enabled", [True, False])
def test_both_keys_of_heartbeats_change_together(enabled: bool) -> None:
    changes = safeguard_changes(heartbeat=enabled, lazarus=None, version_locking=None)

    assert changes == {"heartbeat_enabled": enabled, "disable_heartbeat": not enabled}


def test_a_safeguard_that_is_not_named_is_left_alone() -> None:
    assert safeguard_changes(heartbeat=None, lazarus=False, version_locking=None) == {
        "lazarus_enabled": False
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"colour": 1}, "colour: a flow group has no such field"),
        ({"labels": "gpu"}, "labels: a list of strings is expected"),
        ({"labels": [1]}, "labels: a list of strings is expected"),
        ({"default_parameters": None}, "default_parameters: an object is expected"),
        ({"default_parameters": [1]}, "default_parameters: an object is expected"),
        ({"run_config": "docker"}, "run_config: an object is expected"),
        ({"description": 1}, "description: a string is expected"),
        ({"description": "a\0"}, "description: a NUL character cannot be stored"),
        ({"default_parameters": {"x": "\0"}}, "default_parameters.x: a NUL character"),
    ],
)
def test_a_bad_change_of_a_group_is_refused(changes: dict[str, Any], reason: str) -> None:
    refused = group_change_refusal(changes)

    assert refused is not None
    assert refused.code is Code.INVALID
    assert refused.fields["reason"].startswith(reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": None},
        {"labels": []},
        {"run_config": None},
        {"description": None},
        {"schedule": None},
    ],
)
def test_null_clears_what_may_be_cleared(changes: dict[str, Any]) -> None:
    assert group_change_refusal(changes) is None


@pytest.mark.parametrize("name", ["", "  ", None, 7, "a\0", "x" * 501])
def test_a_bad_name_of_a_project_is_refused(name: Any) -> None:
    refused = project_name_refusal(name)

    assert refused is not None
    assert refused.fields["reason"].startswith("name: ")


def test_labels_keep_their_order_and_absence() -> None:
    assert without_repeats(["b", "a", "b"]) == ["b", "a"]
    assert without_repeats([]) == []
    assert without_repeats(None) is None
