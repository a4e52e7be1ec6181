"""How a command of `deploy` ends when it cannot do its work: one sentence on standard error, exit code 1."""

import sys
from typing import NoReturn

from pydantic import ValidationError

from libs.runtime.settings import sentence_of


def complain(error: Exception) -> NoReturn:
    """Say what is wrong and leave; no stack trace, since the sentence is for the person who runs Headwater."""
    sys.stderr.write(f"headwater: {sentence(error)}\n")
    raise SystemExit(1)


def sentence(error: Exception) -> str:
    """The error in words; for settings, the variable's name and what is wrong with it."""
    if isinstance(error, ValidationError):
        return sentence_of(error)
    return str(error) or type(error).__name__
