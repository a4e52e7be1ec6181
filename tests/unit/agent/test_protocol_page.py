"""The examples of PROTOCOL.md are messages, and every message has one."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from libs.agent import wire
from libs.contracts import agents, base, heartbeat, runs

PAGE = (Path(wire.__file__).parent / "PROTOCOL.md").read_text()
EXAMPLES = re.findall(r"```json (\w+)\n(.*?)```", PAGE, re.DOTALL)
MODELS = {**vars(base), **vars(runs), **vars(heartbeat), **vars(agents)}


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_is_a_message_with_no_field_that_it_does_not_have(name: str, text: str) -> None:
    model: type[BaseModel] = MODELS[name]
    given = json.loads(text)

    read = model.model_validate_json(text)

    assert set(given) <= set(model.model_fields)
    assert json.loads(read.model_dump_json(include=set(given))).keys() == given.keys()


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_fields_that_nobody_knows_are_ignored_on_both_sides(name: str, text: str) -> None:
    later = json.dumps(json.loads(text) | {"of_a_later_version": {"deep": [1]}})

    for model in (MODELS[name], getattr(wire, name)):
        assert model.model_validate_json(later) == model.model_validate_json(text)


def test_every_request_and_answer_has_an_example() -> None:
    spoken = {
        model.__name__
        for rpc in (agents.HELLO, agents.CLAIM, agents.RENEW, agents.REPORT, agents.DRAIN)
        for model in (rpc.request, rpc.reply)
    }

    assert spoken | {"Refused", "WorkReady", "LogBatch"} <= {n for n, _ in EXAMPLES}


def test_every_subject_of_the_protocol_is_on_the_page() -> None:
    for verb in ("hello", "claim", "renew", "report", "drain"):
        assert f"hw.rpc.agents.{{tenant_id}}.{verb}" in PAGE
    for subject in ("work_ready", "cancel.{flow_run_id}"):
        assert f"hw.sig.agent.{{tenant_id}}.{subject}" in PAGE


def test_every_standing_and_outcome_is_explained() -> None:
    for word in (*agents.Standing, *agents.Outcome):
        assert f"`{word.value}`" in PAGE
