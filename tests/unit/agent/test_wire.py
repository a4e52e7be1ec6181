"""What the agent speaks is what the ledger understands, although neither imports the other."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from libs.agent import wire
from libs.contracts import agents, base, heartbeat, runs, subjects

TENANT = UUID("0b9ce1d7-6f2c-4c4f-9d6b-1f0a4b7f3d11")
RUN = UUID("5c1cba35-8c53-4e5b-8d0d-5d1a2b3c4d5e")
NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)

THEIRS: dict[str, Any] = {
    **vars(base),
    **vars(runs),
    **vars(heartbeat),
    **vars(agents),
}


def shape(model: type[BaseModel]) -> object:
    """The JSON Schema without its prose. A refusal's code is any text to the agent, which may be the older one."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            if str(value.get("$ref", "")).endswith("/Code"):
                return {"type": "string", "title": "Code"}
            return {k: plain(v) for k, v in value.items() if k not in ("description", "Code")}
        return [plain(item) for item in value] if isinstance(value, list) else value

    found = plain(model.model_json_schema())
    assert isinstance(found, dict)
    if not found.get("$defs", True):
        del found["$defs"]
    return found


MESSAGES = [
    value
    for value in vars(wire).values()
    if isinstance(value, type)
    and issubclass(value, BaseModel)
    and value not in (BaseModel, wire.Message)
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.__name__)
def test_a_message_has_the_same_fields_on_both_sides(message: type[BaseModel]) -> None:
    assert shape(message) == shape(THEIRS[message.__name__])


def test_every_message_of_the_protocol_is_known_to_the_agent() -> None:
    declared = {
        name
        for name, value in vars(agents).items()
        if isinstance(value, type)
        and issubclass(value, base.Message)
        and value.__module__ == agents.__name__
    }

    assert declared <= {message.__name__ for message in MESSAGES}


def test_both_sides_know_the_same_words() -> None:
    for ours, theirs in ((wire.Standing, agents.Standing), (wire.Outcome, agents.Outcome)):
        assert [word.value for word in ours] == [word.value for word in theirs]
    assert wire.PROTOCOL == agents.PROTOCOL


def test_the_subjects_are_the_same() -> None:
    for verb, subject in (
        ("hello", subjects.AGENT_HELLO),
        ("claim", subjects.AGENT_CLAIM),
        ("renew", subjects.AGENT_RENEW),
        ("report", subjects.AGENT_REPORT),
        ("drain", subjects.AGENT_DRAIN),
    ):
        assert wire.rpc_subject(TENANT, verb) == subject.at(tenant_id=TENANT)
    assert wire.work_ready_subject(TENANT) == subjects.SIG_AGENT_WORK_READY.at(tenant_id=TENANT)
    assert wire.cancel_subject(TENANT) == subjects.SIG_AGENT_CANCEL.at(
        tenant_id=TENANT, flow_run_id="*"
    )
    assert wire.log_subject(TENANT, RUN) == subjects.LOG.at(tenant_id=TENANT, flow_run_id=RUN)
    assert wire.beat_subject(TENANT, RUN) == subjects.BEAT.at(tenant_id=TENANT, flow_run_id=RUN)
    assert wire.inbox_prefix(TENANT) == subjects.agent_inbox(TENANT)


def test_the_agent_imports_nothing_of_the_repository() -> None:
    from pathlib import Path  # noqa: PLC0415 - for this test alone

    folder = Path(wire.__file__).parent
    imported = [
        line
        for path in folder.glob("*.py")
        for line in path.read_text().splitlines()
        if re.match(r"\s*(from|import) (libs|services|deploy)\b", line)
    ]

    assert imported == []
