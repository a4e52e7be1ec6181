"""What cloud hooks send: the shapes of Prefect Server."""

from typing import Any

import orjson
import pytest

from services.automations.domain.cloud_hooks import built
from services.automations.domain.outgoing import CannotBuildError, HttpRequest, InboxNote, Mail
from tests.unit.automations.test_senders import ENDS, EVENT, sent


def posted(kind: str, config: dict[str, Any]) -> HttpRequest:
    request = built(kind, config, sent(), ENDS)[0]
    assert isinstance(request, HttpRequest)
    return request


def test_a_webhook_gets_the_nested_event_of_server() -> None:
    request = posted("WEBHOOK", {"url": "https://x.org/hook"})
    event = orjson.loads(request.body)["event"]

    assert request.headers["x-prefect-event-id"] == "e1"
    assert event.keys() == {
        "id",
        "timestamp",
        "type",
        "flow_run",
        "state",
        "flow",
        "tenant",
        "is_test_event",
    }
    assert (event["id"], event["type"], event["is_test_event"]) == (
        "e1",
        "FlowRunStateChange",
        False,
    )
    assert event["flow_run"]["name"] == "brave-fox"
    assert (event["state"]["state"], event["state"]["message"]) == ("Failed", "boom")
    assert (event["tenant"]["id"], event["tenant"]["slug"]) == ("t1", "acme")


def test_a_webhook_has_every_field_of_servers_models_also_those_that_are_null() -> None:
    request = posted("WEBHOOK", {"url": "https://x.org/hook"})
    event = orjson.loads(request.body)["event"]

    assert event["flow_run"]["parameters"] is None
    assert event["flow_run"]["flow"] == event["flow"]
    assert event["flow_run"]["tenant"] == event["tenant"]
    assert [event["flow"][name] for name in ("project_id", "storage")] == [None, None]
    assert event["state"]["result"] is None
    assert event["tenant"]["settings"] is None


def test_slack_gets_four_blocks() -> None:
    found = orjson.loads(posted("SLACK_WEBHOOK", {"url": "https://hooks.slack.com/x"}).body)

    assert [block["text"]["text"] for block in found["blocks"]] == [
        "Run `brave-fox` of flow `etl` entered a new state:",
        "*State:* `Failed`",
        "*Message:* boom",
        "*Link:* https://hw/acme/flow-run/r1",
    ]
    assert {block["text"]["type"] for block in found["blocks"]} == {"mrkdwn"}


def test_pagerduty_gets_what_server_sent_and_a_key() -> None:
    request = posted("PAGERDUTY", {"api_token": "at", "routing_key": "rk", "severity": "error"})
    found = orjson.loads(request.body)

    assert request.headers["authorization"] == "Token token=at"
    assert found["dedup_key"] == "k1"
    assert found["payload"]["summary"] == "Run brave-fox entered a new state: Failed"
    assert found["payload"]["source"] == "cloud.prefect.io/acme"
    assert found["payload"]["class"] == "State->Failed"
    assert found["links"] == [{"href": EVENT["flow_run_link"], "text": "Flow Run brave-fox"}]


def test_twilio_gets_a_message_for_each_number() -> None:
    config = {
        "account_sid": "AC",
        "auth_token": "t",
        "messaging_service_sid": "MG",
        "to": ["+1", "+2"],
    }

    assert len(built("TWILIO", config, sent(), ENDS)) == 2


def test_an_email_goes_to_each_address_of_a_text_with_commas() -> None:
    [mail] = built("EMAIL", {"to": "a@x.org, b@x.org,"}, sent(), ENDS)

    assert isinstance(mail, Mail)
    assert mail.to == ("a@x.org", "b@x.org")
    assert mail.subject == "Run brave-fox of flow etl: Failed"


def test_the_inbox_shows_the_run_and_its_state_where_the_web_page_looks() -> None:
    [note] = built("PREFECT_MESSAGE", {}, sent(), ENDS)

    assert isinstance(note, InboxNote)
    assert note.kind == "CLOUD_HOOK"
    assert note.content["event"] == {
        "id": "r1",
        "state": "Failed",
        "flow": {"id": "f1", "name": "etl"},
    }
    assert note.content["event_id"] == "e1"


@pytest.mark.parametrize(
    ("kind", "config"), [("WEBHOOK", {}), ("TWILIO", {"to": None}), ("FAX", {})]
)
def test_a_hook_that_cannot_be_used_is_said(kind: str, config: dict[str, Any]) -> None:
    with pytest.raises(CannotBuildError):
        built(kind, config, sent(), ENDS)
