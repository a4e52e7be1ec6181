"""What silence is, and which settings would make zombies of the living."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from libs.contracts.heartbeat import SILENCE
from libs.runtime.settings import sentence_of
from services.heartbeat.settings import HeartbeatSettings


def settings(**seconds: float) -> HeartbeatSettings:
    values: dict[str, Any] = {
        name: value if name.endswith("misses") else timedelta(seconds=value)
        for name, value in seconds.items()
    }
    return HeartbeatSettings(postgres_url="postgresql://x", nats_url="nats://x", **values)


def test_silence_is_four_missed_pings_as_agents_arm_it() -> None:
    assert settings().heartbeat_silence == timedelta(minutes=2) == SILENCE


def test_a_shorter_interval_shortens_everything_that_is_told_with_it() -> None:
    short = settings(
        heartbeat_interval=1,
        heartbeat_write_interval=1,
        heartbeat_check_interval=0.5,
        alive_every=1,
    )

    assert short.heartbeat_silence == timedelta(seconds=4)


def test_a_gap_in_our_hearing_must_show_within_the_silence() -> None:
    with pytest.raises(ValidationError) as refused:
        settings(heartbeat_check_interval=30)

    assert sentence_of(refused.value) == (
        "HEADWATER_HEARTBEAT_CHECK_INTERVAL: that pings do not arrive is known after 4 failed checks, 120 s, which must"
        " be shorter than a silence of 120 s (HEADWATER_HEARTBEAT_INTERVAL times HEADWATER_HEARTBEAT_MISSES)"
    )


def test_lazarus_must_know_that_pings_are_heard() -> None:
    with pytest.raises(ValidationError) as refused:
        settings(heartbeat_check_interval=31, heartbeat_misses=10)

    assert "HEADWATER_HEARTBEAT_CHECK_INTERVAL" in sentence_of(refused.value)
    assert "30 s" in sentence_of(refused.value)


@pytest.mark.parametrize(
    "seconds",
    [
        {"heartbeat_write_interval": 80},
        # Four of them are as long as the default coarseness.
        {"heartbeat_interval": 15},
        {"heartbeat_misses": 3},
    ],
    ids=["coarse", "interval", "misses"],
)
def test_what_is_written_of_the_living_must_be_younger_than_the_silence(
    seconds: dict[str, float],
) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**seconds)

    assert sentence_of(refused.value).startswith(
        "HEADWATER_HEARTBEAT_WRITE_INTERVAL: what is written"
    )


def test_a_duration_that_is_none_is_answered_with_one_that_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWATER_HEARTBEAT_INTERVAL", "30")
    with pytest.raises(ValidationError) as refused:
        settings()

    assert sentence_of(refused.value) == (
        "HEADWATER_HEARTBEAT_INTERVAL: input should be a duration such as PT30S or 00:00:30;"
        " set this variable and start again."
    )


def test_a_gateway_that_lives_must_be_heard_between_the_confirmations() -> None:
    with pytest.raises(ValidationError) as refused:
        settings(heartbeat_check_interval=0.5)

    assert sentence_of(refused.value) == (
        "HEADWATER_ALIVE_EVERY: 5 s times 0.5 must be at most HEADWATER_HEARTBEAT_CHECK_INTERVAL, 0.5 s: one lost"
        " report of a live gateway would make four checks fail, and no run would be judged"
    )
