"""What each action sends, in the shapes that its receiver knows."""

from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from services.automations.domain.messages import (
    AGENT_SLA_FAILED,
    FLOW_SLA_FAILED,
    STATE_CHANGED,
    values_of,
)
from services.automations.domain.outgoing import (
    CannotBuildError,
    Endpoints,
    HttpRequest,
    InboxNote,
    Mail,
    Sent,
)
from services.automations.domain.senders import built, secrets_of

ENDS = Endpoints(
    pagerduty="https://events.pagerduty.com/v2/enqueue", twilio="https://api.twilio.com"
)
EVENT: dict[str, Any] = {
    "id": "e1",
    "timestamp": "2026-11-30T12:00:00+00:00",
    "tenant_id": "t1",
    "tenant_slug": "acme",
    "flow_id": "f1",
    "flow_name": "etl",
    "flow_group_id": "g1",
    "flow_link": "https://hw/acme/flow/g1",
    "flow_run_id": "r1",
    "flow_run_name": "brave-fox",
    "flow_run_link": "https://hw/acme/flow-run/r1",
    "state": "Failed",
    "state_message": "boom",
}
DEFAULT = (
    "Run brave-fox of flow etl entered state Failed with message boom. See https://hw/acme/flow-run/r1 for more"
    " details."
)


def sent(event: dict[str, Any] | None = None, kind: str = STATE_CHANGED) -> Sent:
    event = event or EVENT
    return Sent(key="k1", event_type=kind, values=values_of(kind, event), event=event)


def posted(
    kind: str, config: dict[str, Any], *, event: Sent | None = None, **secrets: str
) -> HttpRequest:
    [request] = built(kind, config, event or sent(), secrets, ENDS)
    assert isinstance(request, HttpRequest)
    return request


def body(kind: str, config: dict[str, Any], *, event: Sent | None = None, **secrets: str) -> Any:
    return orjson.loads(posted(kind, config, event=event, **secrets).body)


def test_a_webhook_without_a_payload_sends_the_whole_event() -> None:
    request = posted("WebhookAction", {"url": "https://x.org/{flow_name}?s={state}"})

    assert orjson.loads(request.body) == EVENT
    assert dict(request.headers) == {"content-type": "application/json", "x-prefect-event-id": "e1"}
    assert request.url == "https://x.org/etl?s=Failed"
    assert not request.fixed


def test_a_value_stays_within_its_part_of_the_address() -> None:
    event = sent(EVENT | {"flow_name": "../../admin?x=1#y\r\nHost: evil@10.0.0.1"})

    assert posted("WebhookAction", {"url": "https://x.org/{flow_name}/z"}, event=event).url == (
        "https://x.org/..%2F..%2Fadmin%3Fx%3D1%23y%0D%0AHost%3A%20evil%4010.0.0.1/z"
    )


def test_keys_and_values_of_payload_and_headers_are_templates() -> None:
    config = {
        "url": "https://x.org",
        "payload": {"{state}": "{flow_name}", "n": [1, "{nothing}"]},
        "headers": {
            "X-{state}": "{flow_run_name}\r\nX-Evil: 1",
            "Host": "evil",
            "Transfer-Encoding": "chunked",
        },
    }
    request = posted("WebhookAction", config)

    assert orjson.loads(request.body) == {"Failed": "etl", "n": [1, "{nothing}"]}
    assert dict(request.headers) == {
        "content-type": "application/json",
        "x-failed": "brave-fox X-Evil: 1",
    }


def test_while_a_signing_key_is_replaced_both_sign() -> None:
    request = posted(
        "WebhookAction", {"url": "https://x.org"}, signing_secret="whsec_new whsec_old"
    )

    assert request.signed_with == ("whsec_new", "whsec_old")


def test_slack_gets_a_text_in_which_no_value_calls_a_channel() -> None:
    event = sent(EVENT | {"state_message": "<!channel> & co"})

    assert body(
        "SlackNotificationAction", {}, event=event, webhook_url_secret="https://hooks.slack.com/x"
    ) == {"text": DEFAULT.replace("boom", "&lt;!channel&gt; &amp; co")}


def test_slack_gets_no_more_than_it_takes() -> None:
    event = sent(EVENT | {"state_message": "x" * 1_000_000})
    text = body(
        "SlackNotificationAction", {}, event=event, webhook_url_secret="https://hooks.slack.com/x"
    )["text"]

    assert len(text) == 3000


def test_teams_gets_an_adaptive_card() -> None:
    config = {"title": "{flow_name} {state}", "message": "look: [a](http://b) {state_message}"}
    found = body(
        "TeamsWebhookNotificationAction",
        config,
        webhook_url_secret="https://prod.logic.azure.com/x",
    )

    assert found["type"] == "message"
    [attachment] = found["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert [block["text"] for block in card["body"]] == ["etl Failed", "look: [a](http://b) boom"]
    assert card["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open the run", "url": "https://hw/acme/flow-run/r1"}
    ]


def test_no_value_becomes_a_link_in_a_card() -> None:
    event = sent(EVENT | {"state_message": "[log in](http://evil)"})
    found = body(
        "TeamsWebhookNotificationAction",
        {"message": "{state_message}"},
        event=event,
        webhook_url_secret="https://x",
    )

    assert "](" not in found["attachments"][0]["content"]["body"][0]["text"]


def test_an_email_has_one_line_as_its_subject() -> None:
    config = {
        "to_emails": ["a@x.org", "b@x.org"],
        "subject": "{state_message}",
        "body": "{flow_name}\n{state}",
    }
    event = sent(EVENT | {"state_message": "boom\r\nBcc: evil@x.org"})

    [mail] = built("EmailNotificationAction", config, event, {}, ENDS)

    assert isinstance(mail, Mail)
    assert (mail.to, mail.subject, mail.text) == (
        ("a@x.org", "b@x.org"), "boom Bcc: evil@x.org", "etl\nFailed",
    )  # fmt: skip


def test_an_email_without_texts_says_what_happened() -> None:
    [mail] = built("EmailNotificationAction", {"to_emails": ["a@x.org"]}, sent(), {}, ENDS)

    assert isinstance(mail, Mail)
    assert (mail.subject, mail.text) == ("FlowRunStateChangedEvent: etl", DEFAULT)


def test_twilio_gets_a_form_for_each_number() -> None:
    config = {"account_sid": "AC1", "auth_token_secret": "n", "messaging_service_sid": "MG1",
              "phone_numbers": ["+1555", "+1556"], "message": "{state}"}  # fmt: skip
    requests = built("TwilioNotificationAction", config, sent(), {"auth_token_secret": "tok"}, ENDS)

    first = requests[0]
    assert isinstance(first, HttpRequest)
    assert len(requests) == 2
    assert first.url == "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
    assert first.headers["authorization"] == "Basic " + b64encode(b"AC1:tok").decode()
    assert parse_qs(first.body.decode()) == {
        "To": ["+1555"], "MessagingServiceSid": ["MG1"], "Body": ["Failed"],
    }  # fmt: skip
    assert first.fixed


def test_pagerduty_gets_an_event_of_its_second_api() -> None:
    config = {"routing_key": "rk", "severity": "critical", "message": "{flow_name} broke"}
    request = posted("PagerDutyNotificationAction", config, api_token_secret="at")
    found = orjson.loads(request.body)

    assert request.url == "https://events.pagerduty.com/v2/enqueue"
    assert request.headers["authorization"] == "Token token=at"
    assert (found["routing_key"], found["event_action"], found["dedup_key"]) == (
        "rk",
        "trigger",
        "k1",
    )
    payload = found["payload"]
    assert payload["summary"] == "etl broke"
    assert (payload["severity"], payload["source"], payload["class"]) == (
        "critical",
        "acme",
        STATE_CHANGED,
    )
    assert payload["custom_details"]["state_message"] == "boom"
    assert found["links"] == [{"href": "https://hw/acme/flow-run/r1", "text": "Flow run brave-fox"}]


def test_pagerduty_needs_no_token_and_takes_a_short_summary_only() -> None:
    event = sent(EVENT | {"state_message": "x" * 1_000_000})
    request = posted(
        "PagerDutyNotificationAction", {"routing_key": "rk", "severity": "info"}, event=event
    )

    assert "authorization" not in request.headers
    assert len(orjson.loads(request.body)["payload"]["summary"]) == 1024
    assert len(request.body) < 64 * 1024


def test_the_inbox_gets_a_message_without_markup_of_a_run() -> None:
    event = sent(EVENT | {"state_message": "<img src=x onerror=alert(1)>"})

    [note] = built("InboxAction", {"title": "{state}"}, event, {}, ENDS)

    assert isinstance(note, InboxNote)
    assert note.content["title"] == "Failed"
    assert "<" not in note.content["message"]


def test_the_default_messages_are_those_of_cloud() -> None:
    sla = EVENT | {
        "flow_sla_config_id": "s1",
        "kind": "STARTED_NOT_FINISHED",
        "duration_seconds": 60,
    }
    agents = {
        "id": "e1",
        "agent_config_id": "c1",
        "sla_min_healthy": 1,
        "unhealthy_agent_ids": ["a1", "a2"],
    }

    def said(kind: str, event: dict[str, Any]) -> str:
        return str(
            body(
                "SlackNotificationAction",
                {},
                event=sent(event, kind),
                webhook_url_secret="https://x",
            )["text"]
        )

    assert said(FLOW_SLA_FAILED, sla) == (
        "Run brave-fox (r1) of flow etl failed STARTED_NOT_FINISHED SLA (s1) after 60 seconds. See"
        " https://hw/acme/flow-run/r1 for more details."
    )
    assert said(AGENT_SLA_FAILED, agents) == (
        "Agents sharing the config c1 have failed the minimum healthy count of 1. The following agents are"
        " unhealthy: a1, a2"
    )


@pytest.mark.parametrize(
    ("kind", "config"),
    [("WebhookAction", {}), ("TwilioNotificationAction", {"account_sid": "x"}), ("NoAction", {}),
     ("EmailNotificationAction", {"to_emails": None}), ("SlackNotificationAction", {})],
)  # fmt: skip
def test_a_configuration_that_cannot_be_used_is_said_and_raises_nothing_else(
    kind: str, config: dict[str, Any]
) -> None:
    with pytest.raises(CannotBuildError):
        built(kind, config, sent(), {}, ENDS)


def test_the_secrets_that_an_action_opens_are_named_by_its_fields() -> None:
    assert (
        secrets_of("PagerDutyNotificationAction", {"api_token_secret": None, "routing_key": "rk"})
        == {}
    )
    assert secrets_of("SlackNotificationAction", {"webhook_url_secret": "SLACK"}) == {
        "webhook_url_secret": "SLACK"
    }


def test_nothing_that_is_sent_shows_its_credentials_in_a_traceback() -> None:
    request = posted(
        "SlackNotificationAction", {}, webhook_url_secret="https://hooks.slack.com/T0SECRET"
    )

    assert "T0SECRET" not in repr(request)
