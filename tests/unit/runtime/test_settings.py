"""Settings that no service can live with are refused with the name of the variable."""

from typing import Any

import pytest
from pydantic import ValidationError

from libs.runtime.settings import Durations, sentence_of
from services.lazarus.settings import LazarusSettings
from services.runs.dispatch.settings import DispatchSettings
from services.runs.settings import RunsSettings

PLACES: dict[str, Any] = {"postgres_url": "postgresql://x", "nats_url": "nats://x"}


@pytest.mark.parametrize(
    ("settings", "variable", "value", "sentence"),
    [
        (RunsSettings, "HEADWATER_LATE_TICK", "PT0S", "must be longer than 0 s, and is 0 s"),
        (RunsSettings, "HEADWATER_LOG_RETENTION", "PT0S", "must be longer than 0 s, and is 0 s"),
        (RunsSettings, "HEADWATER_RUN_RETENTION", "-P1D", "must be longer than 0 s, and is -86400 s"),
        (LazarusSettings, "HEADWATER_LAZARUS_SPREAD", "-PT1S", "must be longer than 0 s, and is -1 s"),
        (DispatchSettings, "HEADWATER_DISPATCH_TICK", "PT0S", "must be longer than 0 s, and is 0 s"),
    ],
)  # fmt: skip
def test_a_duration_is_longer_than_none(
    monkeypatch: pytest.MonkeyPatch,
    settings: type[Durations],
    variable: str,
    value: str,
    sentence: str,
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ValidationError) as refused:
        settings(**PLACES)

    assert sentence_of(refused.value) == f"{variable} {sentence}"


def test_proposals_of_lazarus_need_not_be_spread() -> None:
    assert not LazarusSettings(**PLACES, lazarus_spread="PT0S").lazarus_spread


def test_a_variable_of_dispatch_is_called_by_its_whole_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWATER_DISPATCH_RENEW", "often")

    with pytest.raises(ValidationError) as refused:
        DispatchSettings()

    assert sentence_of(refused.value).startswith("HEADWATER_DISPATCH_RENEW: input should be")
