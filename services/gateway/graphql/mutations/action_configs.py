"""What `create_action` takes: nine kinds of actions as Cloud had them, and two more (reference/automations.md)."""

import dataclasses
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.contracts.base import JsonObject
from services.gateway.graphql.scalars import JSON


@dataclass
class WebhookAction:
    """POST `payload` (the whole event without it) to `url`; texts in it and in `headers` may name variables.

    `signing_secret` is the name of a secret with a key of Standard Webhooks (`whsec_...`), or with two of them and a
    space between while one replaces the other: both sign.
    """

    url: str | None = None
    payload: JSON | None = None
    headers: JSON | None = None
    signing_secret: str | None = None


@dataclass
class SlackAction:
    """`webhook_url_secret` is the name of the secret that holds the address of Slack's incoming webhook."""

    webhook_url_secret: str | None = None
    message: str | None = None


@dataclass
class TeamsAction:
    """The same for Teams; an address itself is taken too, sealed, and never shown again."""

    webhook_url_secret: str | None = None
    message: str | None = None
    title: str | None = None


@dataclass
class EmailAction:
    """An e-mail to all of them."""

    to_emails: list[str] | None = None
    subject: str | None = None
    body: str | None = None


@dataclass
class TwilioAction:
    """A text message to each number; the token is the name of a secret."""

    account_sid: str | None = None
    auth_token_secret: str | None = None
    messaging_service_sid: str | None = None
    phone_numbers: list[str] | None = None
    message: str | None = None


@dataclass
class PagerDutyAction:
    """An alert; `severity` is info, warning, error or critical."""

    routing_key: str | None = None
    severity: str | None = None
    api_token_secret: str | None = None
    message: str | None = None


@dataclass
class InboxAction:
    """A message in the tenant's inbox."""

    title: str | None = None
    message: str | None = None


@dataclass
class AppriseAction:
    """A notification by an Apprise URL, which is a secret; the operator installs the extra `apprise`."""

    url_secret: str | None = None
    title: str | None = None
    message: str | None = None


@dataclass
class CancelRunAction:
    """Cancel the run of the event."""

    message: str | None = None


@dataclass
class PauseScheduleAction:
    """Pause the schedules of a flow group, the event's without it."""

    flow_group_id: UUID | None = None


@dataclass
class CreateRunAction:
    """Create a run of a flow group, the event's without it."""

    flow_group_id: UUID | None = None
    parameters: JSON | None = None
    labels: list[str] | None = None


@dataclass
class ActionConfig:
    """Exactly one of them."""

    webhook: WebhookAction | None = None
    slack_notification: SlackAction | None = None
    teams_webhook_notification: TeamsAction | None = None
    email_notification: EmailAction | None = None
    twilio_notification: TwilioAction | None = None
    pagerduty_notification: PagerDutyAction | None = None
    inbox_notification: InboxAction | None = None
    apprise_notification: AppriseAction | None = None
    cancel_flow_run: CancelRunAction | None = None
    pause_schedule: PauseScheduleAction | None = None
    create_flow_run: CreateRunAction | None = None


def document(config: ActionConfig) -> JsonObject:
    """The config as JSON, without what was left out or is null."""
    return {
        key.name: {
            field.name: _plain(value)
            for field in dataclasses.fields(action)
            if (value := getattr(action, field.name)) is not None
        }
        for key in dataclasses.fields(config)
        if (action := getattr(config, key.name)) is not None
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
