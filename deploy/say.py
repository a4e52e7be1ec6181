"""The end of a failed command of `deploy`: one sentence on standard error, exit code 1."""

import sys
from typing import NoReturn


def complain(error: Exception) -> NoReturn:
    """Print the error and exit; no stack trace, because the sentence is for the person who runs Headwater."""
    sys.stderr.write(f"headwater: {sentence(error)}\n")
    raise SystemExit(1)


def sentence(error: Exception) -> str:
    """The error as a sentence; for settings, with the variable's name."""
    # Imported here: a tenth of a second, which help need not wait for.
    from pydantic import ValidationError  # noqa: PLC0415

    from libs.runtime.settings import sentence_of  # noqa: PLC0415

    if isinstance(error, ValidationError):
        return sentence_of(error)
    return str(error) or type(error).__name__
