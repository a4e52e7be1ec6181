"""What the services' routers declare is what `libs/contracts` promises: no more, no less, and each once."""

from importlib.util import find_spec

import pytest

from deploy.subscribers import line_of, matches, subscriptions_of
from libs.contracts import streams, subjects
from libs.contracts.bodies import BODIES, verbs
from libs.contracts.services import SERVICES
from libs.contracts.subjects import Subject
from libs.runtime.bus.subscriptions import Kind, Subscription

LISTED: dict[str, list[Subscription]] = {name: subscriptions_of(name) for name in SERVICES}
HEARD_BY_AGENTS = {subjects.SIG_AGENT_WORK_READY, subjects.SIG_AGENT_CANCEL}
HEARD_BY_SEVERAL = {subjects.SIG_SERVICE_ALIVE: 2}
"""The heartbeat service waits for gateways' word, and gateways tell people how every service is."""
ANSWERS_NATS = {subjects.AUTH_CALLOUT}
"""Not of our grammar."""
OWNERS = {"agents": "runs"}
"""Whose verbs are answered by a service of another name."""


def lossy() -> set[Subject]:
    """Subjects that no stream keeps and nobody answers by an Rpc."""
    planes = {"sig", "beat", "log"}
    return {each for each in subjects.ALL if each.template.split(".")[1] in planes}


def test_every_verb_is_answered_by_its_own_service_and_nothing_else_is() -> None:
    answered = sorted(
        (name, each.template)
        for name, listed in LISTED.items()
        for each in listed
        if each.rpc is not None
    )
    promised = sorted(
        (OWNERS.get(noun, noun), rpc.subject.template)
        for rpc in verbs()
        for noun in [rpc.subject.template.split(".")[2]]
    )

    assert answered == promised


def test_every_durable_is_consumed_by_the_service_it_is_named_after() -> None:
    consumed = sorted(
        (name, each.durable.name)
        for name, listed in LISTED.items()
        for each in listed
        if each.durable is not None
    )
    promised = sorted((d.service, d.name) for stream in streams.ALL for d in stream.durables)

    assert consumed == promised


@pytest.mark.parametrize("subject", sorted(lossy(), key=str))
def test_every_lossy_subject_is_heard_by_one_service_or_by_agents(subject: Subject) -> None:
    hearing = [
        name
        for name, listed in LISTED.items()
        for each in listed
        if each.kind is Kind.SIGNAL and matches(subject, each.template)
    ]

    expected = HEARD_BY_SEVERAL.get(subject, 0 if subject in HEARD_BY_AGENTS else 1)
    assert len(hearing) == expected


def test_no_service_listens_to_a_subject_that_is_not_in_the_contracts() -> None:
    heard = {
        each.template
        for listed in LISTED.values()
        for each in listed
        if each.kind is Kind.SIGNAL and each.template not in ANSWERS_NATS
    }

    assert [each for each in heard if not any(matches(s, each) for s in subjects.ALL)] == []


def test_work_is_read_as_the_class_that_is_published() -> None:
    [work] = [each for each in LISTED["runs"] if each.durable == streams.durable("runs__work")]
    published = {
        body for subject, body in BODIES.items() if subject.template.startswith("hw.work.")
    }

    assert set(work.bodies) == published


@pytest.mark.parametrize("name", SERVICES)
def test_a_lean_lane_names_a_benchmark_that_exists(name: str) -> None:
    lean = {each.lean for each in LISTED[name] if each.lean is not None}

    assert [each for each in lean if find_spec(f"tests.bench.{each}") is None] == []


def test_the_list_says_of_each_subject_how_it_comes_and_where_it_goes() -> None:
    [line] = [line_of(e) for e in LISTED["registry"] if e.template.endswith(".move_flow")]

    assert line.split() == [
        "hw.rpc.registry.move_flow", "verb", "move_flow", "(FastStream)",
    ]  # fmt: skip
