"""The messages of the actions, as their receivers know them.

`secrets_of` names the secrets that an action needs, `built` makes what is sent once they are opened. Nothing here
reads or sends; no opened secret is kept.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from services.automations.domain import templates
from services.automations.domain.messages import message_of
from services.automations.domain.outgoing import (
    CannotBuildError,
    Endpoints,
    HttpRequest,
    InboxNote,
    Mail,
    Notice,
    Outgoing,
    Sent,
)

Config = Mapping[str, Any]
Secrets = Mapping[str, str]
"""Opened secrets by the configuration's field that names them."""

SLACK_TEXT = 3000  # characters that Slack accepts in a block
CARD_TEXT = 20_000  # of the 28 KB of a message to Teams
SMS_TEXT = 1600  # characters, Twilio's limit
SUMMARY = 1024  # characters, PagerDuty's limit
URL = 4096  # bytes of an address with its values
TITLE = 250  # characters of a title or a subject
BODY = templates.RENDERED_BYTES

OWN_HEADERS = frozenset(
    {
        # ours, or those that would let a request say where it ends
        "host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer",
        "keep-alive", "proxy-connection", "proxy-authorization", "webhook-id", "webhook-timestamp",
        "webhook-signature", "idempotency-key",
    }
)  # fmt: skip

_SECRET_FIELDS: dict[str, tuple[str, ...]] = {
    "WebhookAction": ("signing_secret",),
    "SlackNotificationAction": ("webhook_url_secret",),
    "TeamsWebhookNotificationAction": ("webhook_url_secret",),
    "TwilioNotificationAction": ("auth_token_secret",),
    "PagerDutyNotificationAction": ("api_token_secret",),
    "AppriseNotificationAction": ("url_secret",),
}
SEALED_FIELD: dict[str, str] = {"TeamsWebhookNotificationAction": "webhook_url_secret"}
"""Fields whose value may be sealed with the action, where the value itself was given and no secret's name."""


def secrets_of(action_type: str, config: Config) -> dict[str, str]:
    """The names of the secrets that an action opens, by its fields."""
    named = {field: config.get(field) for field in _SECRET_FIELDS.get(action_type, ())}
    return {field: name for field, name in named.items() if isinstance(name, str) and name}


def sends(action_type: str) -> bool:
    """Whether actions of this type send something."""
    return action_type in _BUILDERS


def built(
    action_type: str, config: Config, sent: Sent, secrets: Secrets, endpoints: Endpoints
) -> list[Outgoing]:
    """What an action sends for an event. CannotBuildError when its configuration does not allow it."""
    if action_type not in _BUILDERS:
        msg = f"{action_type} sends nothing"
        raise CannotBuildError(msg)
    try:
        return _BUILDERS[action_type](config, sent, secrets, endpoints)
    except (KeyError, TypeError, AttributeError) as error:
        # A row of an earlier release, or one that was written by hand.
        msg = f"the configuration of this {action_type} cannot be used ({type(error).__name__})"
        raise CannotBuildError(msg) from None


def json_post(url: str, document: Any, **headers: str) -> HttpRequest:
    """A POST of JSON."""
    return HttpRequest(
        url=url,
        headers={"content-type": "application/json"} | headers,
        body=orjson.dumps(document, default=str),
    )


def signing_keys(secret: str | None) -> tuple[str, ...]:
    """The keys in a signing secret: one, or two with a space between while one replaces the other."""
    return tuple(secret.split()[:2]) if secret else ()


def twilio_posts(
    endpoints: Endpoints, *, account: str, token: str, service: str, numbers: list[str], text: str
) -> list[Outgoing]:
    """One text message to each number."""
    url = f"{endpoints.twilio.rstrip('/')}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
    return [
        HttpRequest(
            url=url,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "authorization": basic(account, token),
            },
            body=urlencode({"To": number, "MessagingServiceSid": service, "Body": text}).encode(),
            fixed=True,
        )
        for number in numbers
    ]


def basic(user: str, password: str) -> str:
    """The header Authorization of HTTP's basic authentication."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def slack_text(text: str) -> str:
    """At most what Slack accepts: longer messages are refused as a whole."""
    return templates.clipped(text, SLACK_TEXT)


def _webhook(config: Config, sent: Sent, secrets: Secrets, _: Endpoints) -> list[Outgoing]:
    payload = config.get("payload")
    document = (
        templates.shortened_json(dict(sent.event))
        if payload is None
        else templates.rendered_json(payload, sent.values)
    )
    headers = {"content-type": "application/json", "x-prefect-event-id": str(sent.values["id"])}
    given = config.get("headers")
    if given is not None:
        headers = {"content-type": "application/json"} | _headers(given, sent)
    return [
        HttpRequest(
            # Values are quoted, so they stay within their part of the address.
            url=templates.rendered(config["url"], sent.values, escape=_quoted, limit=URL),
            headers=headers,
            body=orjson.dumps(document, default=str),
            signed_with=signing_keys(secrets.get("signing_secret")),
        )
    ]


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _headers(given: Mapping[str, Any], sent: Sent) -> dict[str, str]:
    headers: dict[str, str] = {}
    for key, value in given.items():
        name = templates.header_name(templates.rendered(key, sent.values, limit=256))
        if name is None or name.lower() in OWN_HEADERS:
            continue
        text = value if isinstance(value, str) else templates.text_of(value)
        headers[name.lower()] = templates.header_value(templates.rendered(text, sent.values))
    return headers


def _slack(config: Config, sent: Sent, secrets: Secrets, _: Endpoints) -> list[Outgoing]:
    text = message_of(
        config.get("message"), sent.event_type, sent.values, escape=templates.for_slack, limit=BODY
    )
    return [json_post(secrets["webhook_url_secret"], {"text": slack_text(text)})]


def _teams(config: Config, sent: Sent, secrets: Secrets, _: Endpoints) -> list[Outgoing]:
    title = templates.rendered(config.get("title") or "", sent.values, escape=templates.for_cards)
    text = message_of(
        config.get("message"),
        sent.event_type,
        sent.values,
        escape=templates.for_cards,
        limit=CARD_TEXT,
    )
    blocks: list[dict[str, Any]] = [{"type": "TextBlock", "text": text, "wrap": True}]
    if title.strip():
        heading = templates.one_line(title, limit=TITLE)
        blocks.insert(
            0,
            {"type": "TextBlock", "text": heading, "wrap": True, "weight": "Bolder", "size": "Medium"},
        )  # fmt: skip
    link = sent.values.get("flow_run_link")
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    if link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the run", "url": str(link)}]
    document = {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card,
            }
        ],
    }
    return [json_post(secrets["webhook_url_secret"], document)]


def _email(config: Config, sent: Sent, _: Secrets, __: Endpoints) -> list[Outgoing]:
    subject = config.get("subject") or "{event_name}: {flow_name}"
    if not config.get("subject") and not sent.values.get("flow_name"):
        subject = "{event_name}"
    return [
        Mail(
            to=tuple(config["to_emails"]),
            subject=templates.one_line(templates.rendered(subject, sent.values), limit=TITLE),
            text=message_of(config.get("body"), sent.event_type, sent.values, limit=BODY),
        )
    ]


def _twilio(config: Config, sent: Sent, secrets: Secrets, ends: Endpoints) -> list[Outgoing]:
    text = message_of(config.get("message"), sent.event_type, sent.values, limit=BODY)
    return twilio_posts(
        ends,
        account=config["account_sid"],
        token=secrets["auth_token_secret"],
        service=config["messaging_service_sid"],
        numbers=list(config["phone_numbers"]),
        text=templates.clipped(text, SMS_TEXT),
    )


def _pagerduty(config: Config, sent: Sent, secrets: Secrets, ends: Endpoints) -> list[Outgoing]:
    text = message_of(config.get("message"), sent.event_type, sent.values, limit=BODY)
    values = sent.values
    payload = {
        "summary": templates.one_line(text, limit=SUMMARY),
        "severity": config["severity"],
        "source": str(values.get("tenant_slug") or values.get("tenant_id") or "headwater"),
        "component": values.get("flow_name"),
        "group": values.get("flow_run_name"),
        "class": sent.event_type,
        "timestamp": values.get("timestamp"),
        "custom_details": templates.shortened_json(dict(sent.event), limit=BODY // 2),
    }
    return pagerduty_post(
        ends,
        routing_key=config["routing_key"],
        token=secrets.get("api_token_secret"),
        key=sent.key,
        payload=payload,
        link=values.get("flow_run_link"),
        label=f"Flow run {values.get('flow_run_name') or ''}".strip(),
    )


def pagerduty_post(
    endpoints: Endpoints,
    *,
    routing_key: str,
    token: str | None,
    key: str,
    payload: Mapping[str, Any],
    link: Any,
    label: str,
) -> list[Outgoing]:
    """An event of PagerDuty's Events API v2. Its `dedup_key` is the delivery's key: a repetition adds no incident."""
    document: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": key[:255],
        "payload": {name: value for name, value in payload.items() if value is not None},
    }
    if link:
        document["links"] = [{"href": str(link), "text": label}]
    request = json_post(endpoints.pagerduty, document)
    headers = dict(request.headers)
    if token:
        headers["authorization"] = f"Token token={token}"
    return [HttpRequest(url=request.url, headers=headers, body=request.body, fixed=True)]


def _apprise(config: Config, sent: Sent, secrets: Secrets, _: Endpoints) -> list[Outgoing]:
    title = templates.rendered(config.get("title") or "{event_name}", sent.values)
    return [
        Notice(
            url=secrets["url_secret"],
            title=templates.one_line(title, limit=TITLE),
            text=message_of(config.get("message"), sent.event_type, sent.values, limit=CARD_TEXT),
        )
    ]


def _inbox(config: Config, sent: Sent, _: Secrets, __: Endpoints) -> list[Outgoing]:
    """The web page shows `message` as Markdown, and puts it into itself: no value may be markup there."""
    title = templates.rendered(config.get("title") or "{event_name}", sent.values)
    text = message_of(
        config.get("message"),
        sent.event_type,
        sent.values,
        escape=templates.for_slack,  # `& < >` are HTML's too
        limit=CARD_TEXT,
    )
    heading = templates.one_line(templates.for_slack(title), limit=TITLE)
    content = {"title": heading, "message": text, "link": sent.values.get("flow_run_link")}
    return [InboxNote(kind="MESSAGE", text=heading, content=content)]


_BUILDERS: dict[str, Callable[[Config, Sent, Secrets, Endpoints], list[Outgoing]]] = {
    "WebhookAction": _webhook,
    "SlackNotificationAction": _slack,
    "TeamsWebhookNotificationAction": _teams,
    "EmailNotificationAction": _email,
    "TwilioNotificationAction": _twilio,
    "PagerDutyNotificationAction": _pagerduty,
    "AppriseNotificationAction": _apprise,
    "InboxAction": _inbox,
}
