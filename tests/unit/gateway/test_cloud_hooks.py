"""What may be a cloud hook, and what a hidden value stands for."""

from typing import Any

import pytest

from services.gateway import cloud_hooks
from services.gateway.cloud_hooks import CloudHookType

TWILIO: dict[str, Any] = {
    "account_sid": "AC1", "auth_token": "t", "messaging_service_sid": "MG1", "to": ["+1555"],
}  # fmt: skip
NO_ADDRESS = "Invalid config; url must begin with http:// or https:// and name a host"
PAGERDUTY: dict[str, Any] = {"api_token": "a", "routing_key": "r", "severity": "error"}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (CloudHookType.WEBHOOK, {"url": "https://x.org/hook"}),
        (CloudHookType.SLACK_WEBHOOK, {"url": "http://localhost:8100/hook"}),
        (CloudHookType.TWILIO, TWILIO),
        (CloudHookType.TWILIO, {**TWILIO, "to": "+1555"}),
        (CloudHookType.PAGERDUTY, PAGERDUTY),
        (CloudHookType.EMAIL, {"to": "a@x.org, b@x.org"}),
        (CloudHookType.PREFECT_MESSAGE, {}),
    ],
)
def test_what_clients_send_is_taken(kind: CloudHookType, config: dict[str, Any]) -> None:
    assert cloud_hooks.fault_of(kind, config) is None


@pytest.mark.parametrize(
    ("kind", "config", "fault"),
    [
        (CloudHookType.WEBHOOK, {}, "Invalid config; expected `url`"),
        (CloudHookType.WEBHOOK, {"url": "https://x.org", "to": "y"}, "Invalid config; expected `url`"),
        (CloudHookType.SLACK_WEBHOOK, {"uri": "https://x.org"}, "Invalid config; expected `url`"),
        (CloudHookType.WEBHOOK, {"url": "x.org"}, NO_ADDRESS),
        (CloudHookType.WEBHOOK, {"url": "https://"}, NO_ADDRESS),
        (CloudHookType.WEBHOOK, {"url": "http://[::1"}, NO_ADDRESS),
        (CloudHookType.WEBHOOK, {"url": 7}, "Invalid config; url must be a text"),
        (
            CloudHookType.TWILIO, {**TWILIO, "to": []},
            "Invalid config; expected `account_sid`, `auth_token`, `messaging_service_sid`, and `to`",
        ),
        (CloudHookType.TWILIO, {**TWILIO, "to": [7]}, "Invalid config; to must be a list of telephone numbers"),
        (
            CloudHookType.PAGERDUTY, {"api_token": "a"},
            "Invalid config; expected `api_token`, `routing_key`, & `severity`",
        ),
        (
            CloudHookType.PAGERDUTY, {**PAGERDUTY, "severity": "bad"},
            "Invalid config; severity must be one of {info, warning, error, critical}",
        ),
        (CloudHookType.EMAIL, {}, "Invalid config; expected `to`"),
        (
            CloudHookType.EMAIL, {"to": "a@x.org, b"},
            "Invalid config; to must be addresses with commas between them, such as a@x.org, b@x.org",
        ),
        (CloudHookType.PREFECT_MESSAGE, {"x": "y" * 9_000}, "config is 9,008 bytes of JSON; at most 8,192 are stored"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_in_the_words_of_server(
    kind: CloudHookType, config: dict[str, Any], fault: str
) -> None:
    assert cloud_hooks.fault_of(kind, config) == fault


def test_states_are_in_capitals_and_each_once() -> None:
    assert cloud_hooks.states_of(["Failed", "failed", "TriggerFailed"]) == ["FAILED", "TRIGGERFAILED"]  # fmt: skip


@pytest.mark.parametrize("states", [[], ["Broken"], ["Failed", ""]])
def test_an_empty_list_and_unknown_states_are_refused(states: list[str]) -> None:
    found = cloud_hooks.states_of(states)

    assert isinstance(found, str)
    assert found.startswith("Invalid states")


def test_what_is_null_is_as_if_left_out_and_only_an_object_is_a_configuration() -> None:
    assert cloud_hooks.without_nulls({"to": None, "url": "u"}) == {"url": "u"}
    assert cloud_hooks.without_nulls(None) == {}
    assert cloud_hooks.without_nulls(["url"]) == "config must be a JSON object"


def test_a_hidden_value_stands_for_what_it_hides() -> None:
    known = [({"url": "https://x.org/secret"}, {"url": "https://x.org/********cret"})]

    assert cloud_hooks.unmasked({"url": "https://x.org/********cret"}, known) == known[0][0]
    assert cloud_hooks.unmasked({"url": "https://new.org"}, known) == {"url": "https://new.org"}


def test_a_hidden_value_that_stands_for_nothing_or_for_two_things_is_refused_by_its_name() -> None:
    shown = {"auth_token": "********1234"}
    two = [({"auth_token": "aaaaaaaa1234"}, shown), ({"auth_token": "bbbbbbbb1234"}, shown)]

    assert cloud_hooks.unmasked(shown, []) == (
        "config.auth_token is hidden (********1234) and no hook of this type has it: enter the whole value"
    )
    assert cloud_hooks.unmasked(shown, two) == (
        "config.auth_token is hidden and stands for different values of several hooks: enter the whole value"
    )
