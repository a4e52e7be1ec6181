"""The table of NATS users is complete, and what is committed is what it says."""

from uuid import UUID

import pytest

from deploy.nats_users import (
    AGENTS,
    CONFIGURATION,
    HEARS,
    OF_ITSELF,
    PUBLISHES,
    User,
    agent_user,
    configuration,
    service_user,
    users,
)
from libs.contracts import streams, subjects
from libs.contracts.services import SERVICES
from libs.contracts.subjects import Subject

TENANT = UUID("00000000-0000-7000-8000-00000000000a")


@pytest.mark.parametrize("subject", subjects.ALL, ids=lambda s: s.template)
def test_somebody_may_publish_every_subject(subject: Subject) -> None:
    publishers = [name for name, said in PUBLISHES.items() if subject in said]
    is_buried = subject == subjects.DLQ

    assert publishers or subject in OF_ITSELF or is_buried


@pytest.mark.parametrize("subject", subjects.ALL, ids=lambda s: s.template)
def test_somebody_hears_every_subject_that_no_stream_keeps(subject: Subject) -> None:
    plane = subject.template.split(".")[1]

    assert plane not in {"rpc", "sig", "beat", "log"} or any(
        subject in heard for heard in HEARS.values()
    )


def test_the_dead_letters_of_a_service_are_its_own() -> None:
    user = service_user("runs")

    assert [s for s in user.publish if s.startswith("hw.dlq.")] == [
        f"hw.dlq.runs.{durable.name}"
        for durable in sorted(
            (d for stream in streams.ALL for d in stream.durables if d.service == "runs"),
            key=lambda durable: durable.name,
        )
    ]


@pytest.mark.parametrize("user", users([TENANT]), ids=lambda u: u.name)
def test_nobody_has_a_wildcard_over_everything(user: User) -> None:
    patterns = (*user.publish, *user.subscribe)

    assert not {">", "*", "hw.>", "$JS.>", "$JS.API.>", "$SYS.>", "_INBOX.>"} & set(patterns)
    assert not [p for p in patterns if p.startswith("*")]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_reads_no_inbox_but_its_own(name: str) -> None:
    inboxes = [s for s in service_user(name).subscribe if s.startswith("_INBOX")]

    assert inboxes == [f"_INBOX.{name}.>"]


def test_every_subject_of_an_agent_has_its_tenant_in_it() -> None:
    user = agent_user(TENANT)

    assert [s for s in (*user.publish, *user.subscribe) if str(TENANT) not in s.split(".")] == []


def test_agents_have_no_way_into_jetstream() -> None:
    assert [s for s in agent_user(TENANT).publish if s.startswith("$")] == []


def test_agents_speak_on_the_planes_of_the_design_only() -> None:
    planes = {".".join(s.template.split(".")[:3]) for s in (*PUBLISHES[AGENTS], *HEARS[AGENTS])}

    assert planes == {"hw.rpc.agents", "hw.log.{tenant_id}", "hw.beat.{tenant_id}", "hw.sig.agent"}


def test_the_committed_configuration_is_the_present_one() -> None:
    assert CONFIGURATION.read_text() == configuration(users()), (
        "run `python -m deploy.nats_users --write`"
    )
