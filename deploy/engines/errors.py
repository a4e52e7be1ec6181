"""Errors of the engines, each one sentence that says what to do next."""

import errno
from pathlib import Path


class EngineError(Exception):
    """Its text is shown to a person as it is, without a stack trace."""


def last_words(log: Path, *, since: int = 0) -> str:
    """The last line that a program wrote to its log after byte `since`."""
    try:
        said = log.read_bytes()[since:].decode(errors="replace")
    except OSError:
        said = ""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # PostgreSQL's programs write advice after the error.
    errors = [line for line in lines if "error:" in line or "FATAL:" in line]
    return (errors or lines or ["nothing was said"])[-1][:300]


def explain_os_error(error: OSError, *, path: Path, wanted: str) -> EngineError:
    """The sentence for an operating system's refusal at `path`."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            text = f"The disk that holds {path} is full; free some space and start again."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            text = (
                f"Cannot {wanted} {path} ({error.strerror}); make it writable for this account "
                "or set HEADWATER_DATA to a folder that is."
            )
        case errno.ENOTDIR | errno.EEXIST:
            text = f"Cannot {wanted} {path}: a file is in the way; move it or set HEADWATER_DATA elsewhere."
        case _:
            text = (
                f"Cannot {wanted} {path}: {error.strerror}; set HEADWATER_DATA to another folder."
            )
    return EngineError(text)
