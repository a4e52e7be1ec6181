"""The owner's URL comes from the data folder."""

from pathlib import Path

import pytest

from deploy.command.owner import owner_url


def test_without_a_headwater_the_command_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWATER_DATA", str(tmp_path))
    with pytest.raises(SystemExit):
        owner_url()
    assert "no Headwater runs on" in capsys.readouterr().err
