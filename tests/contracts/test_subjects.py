"""Every subject obeys the grammar, lives in one stream at most, and every event has one subject and one owner."""

import re

import pytest

from libs.contracts import agent_configs, automations, deliveries, registry, runs, streams, subjects
from libs.contracts.base import Event, Rpc

PLANES = {"rpc", "work", "evt", "log", "lines", "beat", "sig", "dlq"}
TOKEN = re.compile(r"[a-z][a-z0-9_]*|\{[a-z_]+\}")


def events() -> list[type[Event]]:
    found: list[type[Event]] = []
    waiting = list(Event.__subclasses__())
    while waiting:
        event = waiting.pop()
        waiting += event.__subclasses__()
        if "subject" in event.__dict__:
            found.append(event)
    return found


def verbs() -> list[Rpc]:  # type: ignore[type-arg] # of any request and reply
    modules = (agent_configs, automations, deliveries, registry, runs)
    return [v for m in modules for v in vars(m).values() if isinstance(v, Rpc)]


def matches(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(given) > place
        if place >= len(given) or token not in {"*", given[place]}:
            return False
    return len(wanted) == len(given)


@pytest.mark.parametrize("subject", subjects.ALL, ids=lambda s: s.template)
def test_a_subject_obeys_the_grammar(subject: subjects.Subject) -> None:
    root, plane, *rest = subject.template.split(".")

    assert root == "hw"
    assert plane in PLANES
    assert rest
    assert all(TOKEN.fullmatch(token) for token in rest)


@pytest.mark.parametrize("subject", subjects.ALL, ids=lambda s: s.template)
def test_a_durable_plane_is_kept_by_exactly_one_stream_and_no_other_plane_is(
    subject: subjects.Subject,
) -> None:
    example = subject.at(**dict.fromkeys(subject.tokens, "x"))
    keepers = [s.name for s in streams.ALL if any(matches(p, example) for p in s.subjects)]
    durable = subject.template.split(".")[1] not in {"rpc", "sig", "beat", "log"}

    assert len(keepers) == (1 if durable else 0)


@pytest.mark.parametrize(
    "durable", [d for s in streams.ALL for d in s.durables], ids=lambda d: d.name
)
def test_a_durable_is_named_after_its_service_and_hears_something(durable: streams.Durable) -> None:
    heard = [
        s for s in subjects.ALL if matches(durable.filter, s.at(**dict.fromkeys(s.tokens, "x")))
    ]

    assert durable.name.startswith(f"{durable.service}__")
    assert heard


def test_consumers_of_a_work_queue_never_overlap() -> None:
    for stream in streams.ALL:
        if stream.retention is streams.Retention.WORK_QUEUE:
            filters = [d.filter for d in stream.durables]
            assert len(filters) == len(set(filters)) == 1


@pytest.mark.parametrize("event", events(), ids=lambda e: e.__name__)
def test_an_event_has_its_own_subject_whose_tokens_are_its_fields(event: type[Event]) -> None:
    sharing = [e for e in events() if e.subject == event.subject]

    assert event.subject in subjects.ALL
    assert sharing == [event]
    assert set(event.subject.tokens) <= set(event.model_fields)


def test_every_request_subject_has_exactly_one_verb() -> None:
    asked = sorted(verb.subject.template for verb in verbs())
    declared = sorted(
        s.template
        for s in subjects.ALL
        if s.template.startswith(("hw.rpc.automations.", "hw.rpc.registry.", "hw.rpc.runs."))
    )

    assert asked == declared
