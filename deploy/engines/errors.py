"""What can go wrong with the engines, as one sentence that says what to do next."""

import errno
from pathlib import Path


class EngineError(Exception):
    """Its text is shown to a person as it is, without a stack trace."""


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
