"""The messages of cloud hooks, in the shapes of Prefect Server: what was written to receive them goes on."""

from collections.abc import Callable, Mapping
from typing import Any

from services.automations.domain import templates
from services.automations.domain.outgoing import (
    CannotBuildError,
    Endpoints,
    InboxNote,
    Mail,
    Outgoing,
    Sent,
)
from services.automations.domain.senders import (
    BODY,
    SLACK_TEXT,
    SMS_TEXT,
    SUMMARY,
    TITLE,
    json_post,
    pagerduty_post,
    twilio_posts,
)

Config = Mapping[str, Any]
INBOX_TYPE = "CLOUD_HOOK"


def built(kind: str, config: Config, sent: Sent, endpoints: Endpoints) -> list[Outgoing]:
    """What a cloud hook of this kind sends. CannotBuildError when its configuration does not allow it."""
    builder = _BUILDERS.get(kind)
    if builder is None:
        msg = f"{kind} is no type of cloud hook"
        raise CannotBuildError(msg)
    try:
        return builder(config, sent, endpoints)
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"the configuration of this cloud hook cannot be used ({type(error).__name__})"
        raise CannotBuildError(msg) from None


def secrets_in(config: Config) -> list[str]:
    """The credentials in the configuration itself: they must not come back in an answer that is kept."""
    values = (config.get(name) for name in ("url", "auth_token", "api_token", "routing_key"))
    return [value for value in values if isinstance(value, str)]


def payload_of(sent: Sent) -> dict[str, Any]:
    """The body of a webhook: Server's nested event. Its flow run carries the state before, `state` the new one.

    Every field of Server's models is there, null where Server does not fill it: receivers read them by name.
    """
    values = sent.values
    tenant = _TENANT | {"id": values.get("tenant_id"), "slug": values.get("tenant_slug")}
    flow = _FLOW | {
        "id": values.get("flow_id"),
        "name": values.get("flow_name"),
        "tenant_id": values.get("tenant_id"),
        "flow_group_id": values.get("flow_group_id"),
        "version_group_id": values.get("version_group_id"),
    }
    run = _FLOW_RUN | {
        "id": values.get("flow_run_id"),
        "name": values.get("flow_run_name"),
        "version": values.get("flow_run_version"),
        "state": values.get("previous_state"),
        "flow": flow,
        "tenant": tenant,
    }
    state = _STATE | {
        "id": values.get("state_id"),
        "version": values.get("state_version"),
        "state": values.get("state"),
        "timestamp": values.get("timestamp"),
        "message": values.get("state_message"),
        "serialized_state": values.get("serialized_state"),
    }
    return {
        "event": {
            "id": values.get("id"),
            "timestamp": values.get("timestamp"),
            "type": "FlowRunStateChange",
            "flow_run": run,
            "state": state,
            "flow": flow,
            "tenant": tenant,
            "is_test_event": bool(values.get("is_test_event", False)),
        }
    }


def _nulls(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


_TENANT = _nulls("id created updated name slug info settings projects")
_FLOW = _nulls(
    "id created updated tenant_id project_id archived schedule is_schedule_active version version_group_id"
    " core_version name description serialized_flow environment run_config storage parameters flow_group_id project"
    " tenant tasks edges flow_runs versions flow_group"
)
_FLOW_RUN = _nulls(
    "id created updated tenant_id flow_id parameters labels context version heartbeat scheduled_start_time start_time"
    " end_time auto_scheduled name times_resurrected idempotency_key agent_id state state_timestamp state_message"
    " state_result state_start_time serialized_state tenant flow states task_runs logs"
)
_STATE = _nulls(
    "id created updated tenant_id flow_run_id timestamp message result start_time state version serialized_state"
    " flow_run"
)


def _webhook(config: Config, sent: Sent, _: Endpoints) -> list[Outgoing]:
    body = templates.shortened_json(payload_of(sent))
    return [json_post(config["url"], body, **{"x-prefect-event-id": str(sent.values["id"])})]


def _slack(config: Config, sent: Sent, _: Endpoints) -> list[Outgoing]:
    lines = (
        "Run `{flow_run_name}` of flow `{flow_name}` entered a new state:",
        "*State:* `{state}`",
        "*Message:* {state_message}",
        "*Link:* {flow_run_link}",
    )
    texts = [
        templates.rendered(line, sent.values, escape=templates.for_slack, limit=BODY // 4)
        for line in lines
    ]
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": templates.clipped(text, SLACK_TEXT)}}
        for text in texts
    ]
    return [json_post(config["url"], {"blocks": blocks})]


def _twilio(config: Config, sent: Sent, ends: Endpoints) -> list[Outgoing]:
    text = templates.rendered(
        "Run {flow_run_name} of flow {flow_name} entered a new state: {state}. \n Link: {flow_run_link}",
        sent.values,
    )
    to = config["to"]
    return twilio_posts(
        ends,
        account=config["account_sid"],
        token=config["auth_token"],
        service=config["messaging_service_sid"],
        numbers=[to] if isinstance(to, str) else list(to),
        text=templates.clipped(text, SMS_TEXT),
    )


def _pagerduty(config: Config, sent: Sent, ends: Endpoints) -> list[Outgoing]:
    values = sent.values
    summary = templates.rendered("Run {flow_run_name} entered a new state: {state}", values)
    details = {
        "flow": values.get("flow_name"),
        "flow_run": values.get("flow_run_name"),
        "state": values.get("state"),
        "state_message": values.get("state_message"),
        "tenant_slug": values.get("tenant_slug"),
    }
    payload = {
        "summary": templates.one_line(summary, limit=SUMMARY),
        "severity": config["severity"],
        "source": f"cloud.prefect.io/{values.get('tenant_slug')}",
        "component": values.get("flow_name"),
        "group": values.get("flow_run_name"),
        "class": f"State->{values.get('state')}",
        "custom_details": templates.shortened_json(details, limit=BODY // 2),
    }
    return pagerduty_post(
        ends,
        routing_key=config["routing_key"],
        token=config.get("api_token"),
        key=sent.key,
        payload=payload,
        link=values.get("flow_run_link"),
        label=f"Flow Run {values.get('flow_run_name')}",
    )


def _email(config: Config, sent: Sent, _: Endpoints) -> list[Outgoing]:
    to = tuple(each.strip() for each in config["to"].split(",") if each.strip())
    subject = templates.rendered("Run {flow_run_name} of flow {flow_name}: {state}", sent.values)
    text = templates.rendered(
        "Run {flow_run_name} of flow {flow_name} entered a new state: {state}\n\n{state_message}\n\n{flow_run_link}\n",
        sent.values,
    )
    return [Mail(to=to, subject=templates.one_line(subject, limit=TITLE), text=text)]


def _inbox(_: Config, sent: Sent, __: Endpoints) -> list[Outgoing]:
    """As the web page reads it: `event.id` is the run's, `event.state` the state's name. The whole event beside it."""
    values = sent.values
    text = templates.rendered(
        "Run {flow_run_name} of flow {flow_name} entered a new state: {state}",
        values,
        escape=templates.for_slack,
    )
    content = {
        "type": INBOX_TYPE,
        "event": {
            "id": values.get("flow_run_id"),
            "state": values.get("state"),
            "flow": {"id": values.get("flow_id"), "name": values.get("flow_name")},
        },
        "event_id": values.get("id"),
        "payload": templates.shortened_json(payload_of(sent)["event"], limit=BODY // 2),
    }
    return [InboxNote(kind=INBOX_TYPE, text=templates.one_line(text, limit=TITLE), content=content)]


_BUILDERS: dict[str, Callable[[Config, Sent, Endpoints], list[Outgoing]]] = {
    "WEBHOOK": _webhook,
    "SLACK_WEBHOOK": _slack,
    "TWILIO": _twilio,
    "PAGERDUTY": _pagerduty,
    "EMAIL": _email,
    "PREFECT_MESSAGE": _inbox,
}
