"""Which hooks an event fires, and what may be a hook."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.automations import EventType
from libs.contracts.states import State
from services.automations.domain.hooks import (
    Hook,
    Hooks,
    fault_of_conditions,
    tags_of,
    without_id,
)

GROUP, OTHER = UUID(int=1), UUID(int=2)
# The web UI of Cloud sends these; two of them are no class.
OF_THE_UI = (
    "Scheduled", "Pending", "Submitted", "Running", "Success", "Failed", "Cancelled", "Skipped", "Mapped", "Cached",
    "Looped", "Resume", "Retrying", "Paused", "Queued", "Finished", "Triggerfailed", "Timedout",
)  # fmt: skip


def a_hook(number: int = 1, **tags: list[str]) -> Hook:
    return Hook(
        id=UUID(int=number),
        action_id=UUID(int=9),
        action_type="WebhookAction",
        event_type=EventType.STATE_CHANGED,
        event_tags=tags,
        updated=datetime(2030, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("state", OF_THE_UI)
def test_every_state_of_the_web_ui_is_one(state: str) -> None:
    assert tags_of(EventType.STATE_CHANGED, {"state": [state]}) == {"state": [state]}


def test_the_states_that_the_ui_misspells_match_their_classes() -> None:
    hooks = Hooks([a_hook(state=["Triggerfailed", "TIMEDOUT"])])

    assert len(hooks.on_state(State.TRIGGER_FAILED, GROUP)) == 1
    assert len(hooks.on_state(State.TIMED_OUT, GROUP)) == 1
    assert hooks.on_state(State.FAILED, GROUP) == []


def test_a_hook_fires_once_for_a_state_that_it_names_twice() -> None:
    hooks = Hooks([a_hook(state=["Failed", "FAILED"])])

    assert len(hooks.on_state("Failed", None)) == 1


def test_hooks_of_a_group_and_hooks_of_every_flow_fire_together() -> None:
    every, one = (
        a_hook(1, state=["Failed"]),
        a_hook(2, state=["Failed"], flow_group_id=[str(GROUP)]),
    )
    hooks = Hooks([every, one])

    assert hooks.on_state("Failed", GROUP) == [every, one]
    assert hooks.on_state("Failed", OTHER) == [every]
    assert hooks.on_state("Failed", None) == [every]


def test_an_empty_list_of_flow_groups_is_as_if_left_out() -> None:
    tags = tags_of(EventType.STATE_CHANGED, {"state": ["Failed"], "flow_group_id": []})

    assert tags == {"state": ["Failed"]}


@pytest.mark.parametrize(
    ("event_type", "given", "says"),
    [
        (EventType.STATE_CHANGED, {"state": []}, "states: name at least one"),
        (EventType.STATE_CHANGED, {"state": ["Broken"]}, "states: 'Broken' is not a state"),
        (EventType.STATE_CHANGED, {"status": ["Failed"]}, "status: a hook for FlowRunStateChanged"),
        (EventType.FLOW_SLA_FAILED, {}, "sla_config_ids: name at least one"),
        (EventType.AGENT_SLA_FAILED, {}, "agent_config_ids: name at least one"),
    ],
)
def test_a_hook_that_waits_for_nothing_is_refused(
    event_type: EventType, given: dict[str, list[str]], says: str
) -> None:
    refused = tags_of(event_type, given)

    assert isinstance(refused, str)
    assert refused.startswith(says)


def test_what_is_deleted_never_makes_a_hook_of_one_flow_a_hook_of_every_flow() -> None:
    tags = {"state": ["Failed"], "flow_group_id": [str(GROUP), str(OTHER)]}

    left = without_id(tags, "flow_group_id", str(GROUP))
    assert left == {"state": ["Failed"], "flow_group_id": [str(OTHER)]}
    assert without_id(left, "flow_group_id", str(OTHER)) is None


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ({"colour": ["red"]}, "conditions.colour: there is no such condition"),
        ({"labels": "gpu"}, "conditions.labels must be a list of texts"),
        ({"parameters": []}, "conditions.parameters must be an object"),
        ({"min_duration_seconds": "1"}, "conditions.min_duration_seconds must be a number"),
        ({"min_duration_seconds": True}, "conditions.min_duration_seconds must be a number"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(conditions: dict[str, Any], says: str) -> None:
    assert (fault_of_conditions(conditions) or "").startswith(says)
