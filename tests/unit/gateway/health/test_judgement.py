"""How a service is, judged by what its replicas said and when."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.alive import Condition, ServiceAlive, read_alive
from services.gateway.health.domain import (
    FORGOTTEN_AFTER,
    SILENT_AFTER,
    Listening,
    Part,
    Replicas,
    Status,
    discreet,
    judge,
    summary,
    worst,
)

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
LISTENING = Listening(since=0.0, began=NOON, connected=True)


def word(number: int = 1, **given: Any) -> ServiceAlive:
    return ServiceAlive(**{"instance": UUID(int=number), "version": "0.1.0", "since": NOON} | given)


def judged(*heard: tuple[float, ServiceAlive], now: float, connected: bool = True) -> Part:
    replicas = Replicas()
    for second, said in heard:
        replicas.hear("runs", said, now=second, at=NOON + timedelta(seconds=second))
    listening = Listening(since=0.0, began=NOON, connected=connected)
    return judge("runs", replicas.of("runs", now=now), listening, now=now, at=NOON)


def test_a_service_that_speaks_is_ready_since_it_says_so() -> None:
    part = judged((100.0, word()), (101.0, word(2)), now=104.0)

    assert (part.status, part.reason, part.since) == (Status.READY, None, NOON)
    assert (part.version, len(part.replicas)) == ("0.1.0", 2)


@pytest.mark.parametrize(
    ("silent_for", "status"),
    [(SILENT_AFTER - 0.1, Status.READY), (SILENT_AFTER, Status.DOWN), (29.9, Status.DOWN)],
)
def test_a_service_that_died_is_named_within_thirty_seconds(
    silent_for: float, status: Status
) -> None:
    part = judged((100.0, word()), now=100.0 + silent_for)

    assert part.status is status


def test_one_that_died_is_down_since_it_was_last_heard() -> None:
    part = judged((100.0, word()), now=140.0)

    assert part.since == NOON + timedelta(seconds=100)
    assert (part.reason or "").startswith("runs has not been heard for 40 s")


def test_a_replica_that_died_beside_another_one_degrades_the_service() -> None:
    part = judged((100.0, word()), (139.0, word(2)), now=140.0)

    assert part.status is Status.DEGRADED
    assert part.reason == "1 of 2 replicas has not been heard for 40 s."


def test_a_replica_that_was_taken_away_is_forgotten_at_once_and_a_dead_one_after_ten_minutes() -> (
    None
):
    stopped = word(condition=Condition.STOPPED)

    assert judged((10.0, stopped), (11.0, word(2)), now=12.0).status is Status.READY
    late = FORGOTTEN_AFTER + 10.0
    assert judged((10.0, word()), (late, word(2)), now=late).status is Status.READY


def test_a_service_whose_last_replica_stopped_is_down() -> None:
    part = judged((10.0, word(condition=Condition.STOPPED)), now=12.0)

    assert (part.status, part.reason) == (Status.DOWN, "runs was stopped.")


def test_what_is_wrong_is_said_once_however_many_say_it() -> None:
    reason = "the loop outbox is stale"
    said = [word(n, condition=Condition.DEGRADED, reasons=[reason]) for n in (1, 2)]

    part = judged((10.0, said[0]), (10.0, said[1]), now=12.0)

    assert (part.status, part.reason) == (Status.DEGRADED, "the loop outbox is stale.")


def test_a_service_of_which_one_replica_can_do_something_is_degraded_and_else_unready() -> None:
    lost = word(condition=Condition.UNREADY, reasons=["PostgreSQL does not answer: TimeoutError"])

    assert judged((10.0, lost), (10.0, word(2)), now=12.0).status is Status.DEGRADED
    assert judged((10.0, lost), now=12.0).status is Status.UNREADY


@pytest.mark.parametrize(("now", "status"), [(3.0, Status.UNKNOWN), (30.0, Status.DOWN)])
def test_a_gateway_that_has_just_started_calls_nobody_dead(now: float, status: Status) -> None:
    assert judged(now=now).status is status


def test_a_gateway_that_is_cut_off_from_nats_calls_nobody_dead() -> None:
    part = judged((10.0, word()), now=500.0, connected=False)

    assert part.status is Status.UNKNOWN
    assert "not connected to NATS" in (part.reason or "")


def test_a_release_before_that_says_nothing_but_that_it_lives_is_ready() -> None:
    part = judged((10.0, read_alive(b"")), now=12.0)

    assert (part.status, part.version) == (Status.READY, None)


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff", b'{"condition": "of tomorrow"}'])
def test_words_that_cannot_be_read_say_that_the_service_lives(body: bytes) -> None:
    assert read_alive(body).condition is Condition.READY


def test_words_of_a_later_release_are_read_as_far_as_they_are_known() -> None:
    said = read_alive(b'{"condition": "degraded", "reasons": ["x"], "mood": "good"}')

    assert (said.condition, said.reasons) == (Condition.DEGRADED, ["x"])


def test_an_administrator_of_a_tenant_reads_what_is_wrong_and_not_where() -> None:
    said = word(condition=Condition.DEGRADED, reasons=["10.0.0.7 refuses"])

    part = discreet(judged((10.0, said), now=12.0))

    assert (part.status, part.since) == (Status.DEGRADED, NOON)
    assert "10.0.0.7" not in (part.reason or "")
    assert (part.version, part.replicas) == (None, ())


def test_all_of_it_is_as_its_worst_part() -> None:
    well, dead = judged((10.0, word()), now=12.0), judged((10.0, word()), now=99.0)

    assert worst([well, dead]) is Status.DOWN
    assert summary([well, dead]) == "runs is down; everything else is ready."
    assert summary([well]) == "Everything is ready."
