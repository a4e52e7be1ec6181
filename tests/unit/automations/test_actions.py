"""What may be an action, and what is said about the rest: always with the field's name."""

from typing import Any

import pytest

from libs.contracts.automations import ActionType
from services.automations.domain.actions import TEMPLATE_LIMIT, NewAction, accept

URL = "https://hooks.example.com/x"
PAGER = {"routing_key": "r", "severity": "error"}
TWILIO = {
    "account_sid": "a", "auth_token_secret": "t", "messaging_service_sid": "m", "phone_numbers": ["+15551234567"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "action_type"),
    [
        ({"webhook": {"url": URL}}, ActionType.WEBHOOK),
        (
            {"webhook": {"url": URL, "payload": {"a": "{state}"}, "headers": {"X": "{id}"}}},
            ActionType.WEBHOOK,
        ),
        ({"slack_notification": {"webhook_url_secret": "S"}}, ActionType.SLACK),
        ({"teams_webhook_notification": {"webhook_url_secret": "S"}}, ActionType.TEAMS),
        ({"email_notification": {"to_emails": ["a@x.org", "b@x.org"]}}, ActionType.EMAIL),
        ({"twilio_notification": TWILIO}, ActionType.TWILIO),
        ({"pagerduty_notification": PAGER}, ActionType.PAGERDUTY),
        ({"cancel_flow_run": {}}, ActionType.CANCEL_FLOW_RUN),
        ({"pause_schedule": {}}, ActionType.PAUSE_SCHEDULE),
        ({"create_flow_run": {}}, ActionType.CREATE_FLOW_RUN),
    ],
)
def test_the_nine_actions_of_cloud_are_accepted(
    config: dict[str, Any], action_type: ActionType
) -> None:
    accepted = accept(config)

    assert isinstance(accepted, NewAction)
    assert accepted.action_type is action_type


def test_nulls_are_as_if_left_out() -> None:
    given = {"webhook": None, "pagerduty_notification": {**PAGER, "api_token_secret": None}}

    accepted = accept(given)

    assert isinstance(accepted, NewAction)
    assert accepted.config == PAGER


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "config: give exactly one of webhook, "),
        ({"webhook": {"url": URL}, "cancel_flow_run": {}}, "not 2 (webhook, cancel_flow_run)"),
        ({"webhook": None}, "not 0 (none)"),
        ({"carrier_pigeon": {}}, "config.carrier_pigeon: there is no such action"),
        ({"webhook": {}}, "config.webhook.url: webhook needs it"),
        ({"webhook": {"url": "ftp://x"}}, "config.webhook.url must be an address"),
        ({"webhook": {"url": "https://"}}, "config.webhook.url must be an address"),
        ({"webhook": {"url": "https://x:no"}}, "config.webhook.url must be an address"),
        ({"webhook": {"url": "https://{state}.x.org"}}, "config.webhook.url must name its host"),
        ({"webhook": {"url": URL, "headers": {"X": "a\r\nB: c"}}}, "line break in the header X"),
        ({"webhook": {"url": URL, "headers": {"X Y": "a"}}}, "which is no name of one"),
        ({"webhook": {"url": URL, "headers": ["X"]}}, "config.webhook.headers must be an object"),
        ({"webhook": {"url": URL, "foo": 1}}, "config.webhook.foo: webhook has no such field"),
        ({"webhook": {"url": URL, "payload": "x" * TEMPLATE_LIMIT}}, "config.webhook.payload has"),
        ({"slack_notification": {"webhook_url_secret": " "}}, "webhook_url_secret must be a text"),
        (
            {"slack_notification": {"webhook_url_secret": "S", "message": "x" * 9000}},
            "config.slack_notification.message has 9,002 bytes",
        ),
        ({"email_notification": {"to_emails": []}}, "to_emails must be a list of 1 to 50"),
        ({"email_notification": {"to_emails": ["a@x.org\r\nBcc: b@x.org"]}}, "not an e-mail"),
        ({"twilio_notification": {**TWILIO, "phone_numbers": ["call me"]}}, "not a phone number"),
        (
            {"pagerduty_notification": {**PAGER, "severity": "awful"}},
            "severity must be one of info, warning, error, critical, not 'awful'",
        ),
        (
            {"pause_schedule": {"flow_group_id": "x"}},
            "flow_group_id must be the id of a flow group",
        ),
        ({"create_flow_run": {"parameters": [1]}}, "create_flow_run.parameters must be an object"),
        ({"create_flow_run": {"labels": [1]}}, "create_flow_run.labels must be a list of labels"),
        ({"cancel_flow_run": {"message": "a\x00"}}, "U+0000"),
    ],
)
def test_the_rest_is_refused_by_the_name_of_the_field(config: dict[str, Any], says: str) -> None:
    refused = accept(config)

    assert isinstance(refused, str)
    assert says in refused
