"""How late Lazarus may be at the earliest: whoever might live is not brought back."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from libs.runtime.settings import sentence_of
from services.lazarus.settings import LazarusSettings


def settings(**seconds: float) -> LazarusSettings:
    durations = {name: timedelta(seconds=value) for name, value in seconds.items()}
    return LazarusSettings(postgres_url="postgresql://x", nats_url="nats://x", **durations)  # type: ignore[arg-type] # by name


def test_ten_minutes_are_enough_for_an_interval_of_thirty_seconds() -> None:
    assert settings().lazarus_after == timedelta(minutes=10)


def test_two_silences_are_enough() -> None:
    assert settings(heartbeat_interval=75).heartbeat_silence == timedelta(minutes=5)


def test_less_than_two_silences_is_refused_with_what_to_set() -> None:
    with pytest.raises(ValidationError) as refused:
        settings(heartbeat_interval=300)

    assert sentence_of(refused.value) == (
        "HEADWATER_LAZARUS_AFTER: 600 s must be at least 2400 s, two silences of 1200 s (HEADWATER_HEARTBEAT_INTERVAL"
        " times HEADWATER_HEARTBEAT_MISSES): a run that lives may be last seen almost so long ago"
    )


def test_a_longer_interval_goes_with_a_longer_patience() -> None:
    patient = settings(heartbeat_interval=300, lazarus_after=2400)

    assert patient.lazarus_after == timedelta(minutes=40)


def test_a_patience_of_less_than_the_usual_silences_is_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        settings(lazarus_after=239)

    assert sentence_of(refused.value).startswith("HEADWATER_LAZARUS_AFTER: 239 s must be")
