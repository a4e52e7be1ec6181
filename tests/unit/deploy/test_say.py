"""How commands end when they cannot do their work."""

import pytest
from pydantic import ValidationError

from deploy.engines import EngineError
from deploy.local.settings import LocalSettings
from deploy.say import complain, sentence


def test_a_complaint_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        complain(EngineError("The disk is full; free some space."))

    assert ended.value.code == 1
    assert capsys.readouterr().err == "headwater: The disk is full; free some space.\n"


def test_a_wrong_setting_is_named_as_its_variable() -> None:
    with pytest.raises(ValidationError) as refused:
        LocalSettings(port=-1)

    assert sentence(refused.value) == (
        "HEADWATER_PORT: input should be greater than or equal to 0; set this variable and start again."
    )
