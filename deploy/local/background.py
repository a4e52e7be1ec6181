"""`up`, `down`, `status` and `logs`: a Headwater in the background."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from deploy.engines import DataFolder, EngineError
from deploy.local import record
from deploy.local.settings import LocalSettings

_UP_WITHIN = 180.0  # seconds; a recovery after a crash of a full database takes its time
_DOWN_WITHIN = 30.0
_POLL = 0.05
LOG = "headwater"
"""The log of a Headwater in the background."""

Tell = Callable[[str], None]


def up(settings: LocalSettings, *, processes: bool, tell: Tell) -> str:
    """Start in the background and return the URL once it answers; that of the running one if there is one."""
    folder = DataFolder(settings.data)
    folder.make()
    if folder.holder() is not None:
        tell("already running")
        return _until_answering(folder, child=None, offset=0, tell=tell)
    folder.turn_over_log(LOG)
    log = folder.log(LOG)
    with log.open("ab") as output:
        offset = output.tell()
        child = subprocess.Popen(  # noqa: S603 - our own command, no shell
            [
                *(sys.executable, "-m", "deploy.local", "run"),
                *(["--processes"] if processes else []),
            ],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"HEADWATER_DATA": str(folder.path)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return _until_answering(folder, child=child, offset=offset, tell=tell)


def down(settings: LocalSettings, *, tell: Tell) -> bool:
    """Stop the Headwater of the data folder and wait until it is gone; whether there was one."""
    folder = DataFolder(settings.data)
    pid = folder.holder()
    if pid is None:
        return False
    process = _headwater(folder, pid)
    process.terminate()
    if not _gone(folder, _DOWN_WITHIN):
        tell(
            f"it did not stop within {_DOWN_WITHIN:.0f} s and is killed; nothing committed is lost"
        )
        process.kill()
        if not _gone(folder, _DOWN_WITHIN):
            msg = f"Process {pid} cannot be killed; end it by hand."
            raise EngineError(msg)
    return True


def log_lines(path: Path, *, lines: int, follow: bool) -> Iterator[str]:
    """The last lines of a log, and then all new lines, for ever."""
    if not path.exists():
        msg = f"There is no log {path} yet; start Headwater first."
        raise EngineError(msg)
    with path.open(errors="replace") as file:
        yield from file.readlines()[-lines:]
        while follow:
            if line := file.readline():
                yield line
            else:
                time.sleep(_POLL * 4)


def _until_answering(
    folder: DataFolder, *, child: "subprocess.Popen[bytes] | None", offset: int, tell: Tell
) -> str:
    deadline = time.monotonic() + _UP_WITHIN
    while time.monotonic() < deadline:
        found = record.read(folder)
        if found is not None:
            return found.url
        if child is not None:
            offset = _pass_on(folder.log(LOG), offset, tell)
            if child.poll() is not None:
                raise EngineError(_reason(folder.log(LOG)))
        elif folder.holder() is None:
            msg = "The running Headwater stopped; start it again."
            raise EngineError(msg)
        time.sleep(_POLL)
    msg = f"Headwater did not answer within {_UP_WITHIN:.0f} s; see {folder.log(LOG)}."
    raise EngineError(msg)


def _pass_on(log: Path, offset: int, tell: Tell) -> int:
    """Show the progress lines that `run` has added since `offset`; where the log ends now."""
    with log.open("rb") as file:
        file.seek(offset)
        added = file.read()
    complete = added[: added.rfind(b"\n") + 1]
    for line in complete.decode(errors="replace").splitlines():
        if line.startswith(PROGRESS):
            tell(line.removeprefix(PROGRESS))
    return offset + len(complete)


PROGRESS = "· "
COMPLAINT = "headwater: "
_OURS = ("deploy.local", "deploy.demo", "deploy.command", "headwater")
"""Words of the command lines that run Headwater."""


def _reason(log: Path) -> str:
    """The sentence with which `run` ended."""
    for line in reversed(log.read_text(errors="replace").splitlines()):
        if line.startswith(COMPLAINT):
            return line.removeprefix(COMPLAINT)
    return f"Headwater ended while it started; the reason is at the end of {log}."


def _headwater(folder: DataFolder, pid: int) -> psutil.Process:
    """The process that has locked the folder, after a check of its command line, because we will stop it."""
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
    except psutil.Error:
        words = []
    if not any(word in _OURS or "deploy/local" in word for word in map(_program, words)):
        msg = f"{folder.path} is in use by process {pid}, which was not started by `make up`; stop that program."
        raise EngineError(msg)
    return process


def _program(word: str) -> str:
    """A word of a command line; for the installed command without the folder it is in."""
    return "headwater" if Path(word).name == "headwater" else word


def _gone(folder: DataFolder, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if folder.holder() is None:
            return True
        time.sleep(_POLL)
    return False
