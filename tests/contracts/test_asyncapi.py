"""The AsyncAPI documents are the code's: they leave no subject out, and say what the services' routers say."""

import json
from typing import Any

import pytest
from faststream.specification import AsyncAPI

from deploy import asyncapi
from deploy.subscribers import declared, subscriptions_of
from libs.contracts import agent_access, subjects
from libs.contracts.bodies import EMPTY, bodies, events, verbs
from libs.contracts.services import SERVICES
from services.runs.dispatch import verbs as verbs_of_agents

LISTED = {name: subscriptions_of(name) for name in SERVICES}
BUS: dict[str, Any] = json.loads(asyncapi.BUS_FILE.read_text())
AGENTS: dict[str, Any] = json.loads(asyncapi.AGENT_FILE.read_text())
DOCUMENTS = pytest.mark.parametrize("document", [BUS, AGENTS], ids=["bus", "agents"])


def test_the_committed_documents_are_those_that_the_code_makes() -> None:
    said = "run `make generate` and review the diff"

    assert asyncapi.BUS_FILE.read_text() == asyncapi.bus_text(LISTED), said
    assert asyncapi.AGENT_FILE.read_text() == asyncapi.agent_text(LISTED["runs"]), said


def test_every_subject_is_a_channel_that_says_what_it_carries() -> None:
    carried = {c["address"]: set(c["messages"]) for c in BUS["channels"].values() if c["address"]}

    assert carried == {
        subject.template: {body.__name__} if (body := bodies().get(subject)) else set()
        for subject in subjects.ALL
    }
    assert set(EMPTY) == set(subjects.ALL) - set(bodies())


def test_every_request_has_its_answers() -> None:
    answered = {
        BUS["channels"][operation["channel"]["$ref"].rpartition("/")[2]]["address"]: set(
            BUS["channels"][operation["reply"]["channel"]["$ref"].rpartition("/")[2]]["messages"]
        )
        for operation in BUS["operations"].values()
        if "reply" in operation
    }

    assert answered == {rpc.subject.template: {rpc.reply.__name__, "Refused"} for rpc in verbs()}


def test_every_event_is_sent_by_one_service_and_received_by_those_that_read_it() -> None:
    names = {event.subject.template for event in events()}

    def services(action: str, address: str) -> list[str]:
        return [
            operation["tags"][0]["name"]
            for operation in BUS["operations"].values()
            if operation["action"] == action
            and BUS["channels"][operation["channel"]["$ref"].rpartition("/")[2]]["address"]
            == address
        ]

    assert {address: len(services("send", address)) for address in names} == dict.fromkeys(names, 1)
    archived = subjects.FLOW_ARCHIVED.template
    assert sorted(services("receive", archived)) == ["gateway", "runs", "scheduler"]
    moved = subjects.FLOW_MOVED.template
    assert services("receive", moved) == ["gateway"]


def test_agents_have_what_they_may_say_and_hear_and_nothing_else() -> None:
    actions = {
        AGENTS["channels"][operation["channel"]["$ref"].rpartition("/")[2]]["address"]: (
            operation["action"]
        )
        for operation in AGENTS["operations"].values()
    }

    said = {subject.template: "send" for subject in agent_access.SAYS}
    assert actions == said | {subject.template: "receive" for subject in agent_access.HEARS}


def test_agents_are_told_where_to_connect_with_what_and_within_which_bounds() -> None:
    [server] = AGENTS["servers"].values()
    schemas = AGENTS["components"]["schemas"]

    assert server["protocol"] == "nats"
    assert server["security"] == [{"$ref": "#/components/securitySchemes/api_key"}]
    assert AGENTS["components"]["securitySchemes"]["api_key"]["in"] == "password"
    for name in ("Hello", "Claim"):
        capacity = schemas[name]["properties"]["capacity"]
        assert (capacity["minimum"], capacity["maximum"]) == (1, verbs_of_agents.CAPACITY_LIMIT)
    assert schemas["Claim"]["properties"]["wait"]["maximum"] == verbs_of_agents.WAIT_LIMIT
    for verb, body in (("hello", "Hello"), ("claim", "Claim"), ("renew", "Renew")):
        message = AGENTS["channels"][verb]["messages"][body]
        assert "traceparent" in message["headers"]["properties"]
    assert "headers" not in AGENTS["channels"]["log"]["messages"]["LogBatch"]


@DOCUMENTS
def test_every_reference_of_a_document_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [r for value in node.values() for r in references(value)]
        if isinstance(node, list):
            return [r for value in node for r in references(value)]
        return []

    assert len(references(document)) > 20
    for reference in references(document):
        place: object = document
        for part in reference.removeprefix("#/").split("/"):
            assert isinstance(place, dict)
            place = place[part]


@pytest.mark.parametrize("name", ["registry", "runs", "scheduler"])
def test_faststreams_own_document_says_the_same_of_what_it_has_and_has_no_answers(
    name: str,
) -> None:
    """Why the generator is ours. When this fails because there are answers, look whether it can be FastStream's."""
    theirs: dict[str, Any] = (
        AsyncAPI(declared(name).bus.broker, schema_version="3.0.0").to_specification().to_jsonable()
    )
    ours = {c["address"]: set(c["messages"]) for c in BUS["channels"].values() if c["address"]}
    lean = {each.template for each in LISTED[name] if each.lean is not None}

    payloads = {
        theirs["channels"][key.partition(":")[0]]["address"]: message["payload"]["$ref"].rpartition(
            "/"
        )[2]
        for key, message in theirs["components"]["messages"].items()
    }
    requests = {at: body for at, body in payloads.items() if at.startswith("hw.rpc.")}
    assert requests
    assert {at for at, body in requests.items() if body not in ours[at]} == set()
    assert not any("reply" in operation for operation in theirs["operations"].values())
    assert lean.isdisjoint(payloads)
