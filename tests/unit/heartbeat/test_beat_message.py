"""The one message that gateway, agents and the heartbeat service publish as a ping."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.contracts.heartbeat import Silence, beat_message, disarm_message

TENANT, RUN = UUID(int=1), UUID(int=2)
SENT = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_ping_fires_not_before_two_minutes_unless_the_next_one_replaces_it() -> None:
    subject, headers, body = beat_message(TENANT, RUN, SENT)

    assert subject == f"hw.beat.{TENANT}.{RUN}"
    assert headers["Nats-Schedule"] == "@every 121s"
    assert headers["Nats-Schedule-Target"] == f"hw.silent.{RUN}"
    assert Silence.model_validate_json(body) == Silence(
        tenant_id=TENANT, flow_run_id=RUN, sent=SENT
    )


@pytest.mark.parametrize(
    ("silence", "every"),
    [
        (timedelta(minutes=2), "@every 121s"),
        (timedelta(seconds=2), "@every 3s"),
        (timedelta(milliseconds=1), "@every 2s"),
        (timedelta(milliseconds=2500), "@every 4s"),
    ],
)
def test_it_fires_a_second_after_the_silence(silence: timedelta, every: str) -> None:
    _, headers, _ = beat_message(TENANT, RUN, SENT, silence)

    assert headers["Nats-Schedule"] == every


def test_disarming_puts_a_message_without_a_schedule_in_its_place() -> None:
    subject, headers, body = disarm_message(TENANT, RUN)

    assert (subject, headers, body) == (f"hw.beat.{TENANT}.{RUN}", {"Nats-TTL": "1s"}, b"")


def test_a_ping_of_a_moment_without_an_offset_was_sent_in_utc() -> None:
    body = f'{{"tenant_id": "{TENANT}", "flow_run_id": "{RUN}", "sent": "2026-01-01T00:00:00"}}'

    assert Silence.model_validate_json(body).sent == datetime(2026, 1, 1, tzinfo=UTC)
