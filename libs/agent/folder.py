"""The files of a run while it has a process: enough for the next agent to go on.

runs/<flow run>.<attempt>/
    record.json   the claim, what runs it (a process or a container), and how much of the output was forwarded
    pid           of the shell that waits for the process, written by itself
    output        what the process printed
    exit          its exit code, written by the shell; its being there means that the process is gone

The shell is there because only a parent learns how a process ended, and the agent may not be there to be one.
Of a run in a container there is no pid; `containers` writes the output and the exit.
"""

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen

import psutil
from pydantic import BaseModel

from .wire import ClaimedRun

# With `trap :` the shell survives the signals that it gets together with the process, and writes the exit code.
_SCRIPT = """\
trap : INT TERM
folder=$1; shift
echo $$ > "$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
"$@" >> "$folder/output" 2>&1
echo $? > "$folder/exit.new" && mv "$folder/exit.new" "$folder/exit"
"""
_NAME = "headwater-run"

PROCESS = "process"
CONTAINER = "container"

VANISHED = -1
"""The exit code of a process whose end was not seen."""


class StateFolderTakenError(Exception):
    """Another agent uses the state folder, or one of another kind has left runs in it."""


class Record(BaseModel):
    """`record.json`."""

    run: ClaimedRun
    forwarded: int = 0
    noun: str = PROCESS


@dataclass(slots=True)
class RunFolder:
    """One run's folder."""

    path: Path
    record: Record
    process: "Popen[bytes] | None" = None

    def save(self) -> None:
        """Write the record atomically."""
        new = self.path / "record.new"
        new.write_text(self.record.model_dump_json())
        new.rename(self.path / "record.json")

    def start(
        self, command: Sequence[str], env: Mapping[str, str], working_folder: Path | None
    ) -> int:
        """Start the process in a session of its own; the shell's pid. Raises OSError."""
        self.process = Popen(  # noqa: S603 - what it runs is Prefect, found at the agent's start
            ["/bin/sh", "-c", _SCRIPT, _NAME, str(self.path), *command],
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
            env=dict(env),
            cwd=working_folder,
            start_new_session=True,
        )
        return self.process.pid

    @property
    def pid(self) -> int | None:
        """The shell's pid, if it was ever started."""
        if self.process is not None:
            return self.process.pid
        try:
            return int((self.path / "pid").read_text())
        except (OSError, ValueError):
            return None

    def exit_code(self) -> int | None:
        """The exit code; None while the process lives. Signal n is 128 + n."""
        if self.process is not None:
            self.process.poll()  # reaps the shell
        if (code := self.written_exit()) is not None:
            return code
        if self._shell_lives():
            return None
        return code if (code := self.written_exit()) is not None else VANISHED

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children; no effect on one that has ended."""
        pid = self.pid
        if pid is not None and self._shell_lives():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)

    def read_output(self, *, at: int, size: int) -> bytes:
        """Some of the output."""
        try:
            with (self.path / "output").open("rb") as output:
                output.seek(at)
                return output.read(size)
        except FileNotFoundError:
            return b""

    def written_exit(self) -> int | None:
        """The exit code, if it was written."""
        try:
            return int((self.path / "exit").read_text())
        except (OSError, ValueError):
            return None

    def write_exit(self, code: int) -> None:
        """Write the exit code, for runs without a shell. Raises OSError when the folder is gone."""
        new = self.path / "exit.new"
        new.write_text(f"{code}\n")
        new.rename(self.path / "exit")

    def remove(self) -> None:
        """Remove the run's folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _shell_lives(self) -> bool:
        if self.process is not None:
            return self.process.returncode is None
        pid = self.pid
        if pid is None:
            return False
        try:
            # The pid may belong to another process now; ours has the folder in its arguments.
            shell = psutil.Process(pid)
            return str(self.path) in shell.cmdline() and shell.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


class StateFolder:
    """The folder with an agent's run folders; used by one agent at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._runs = self.path / "runs"
        self._runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            msg = (
                f"Another agent uses the state folder {self.path}. "
                "Give this one its own with --state, or stop the other."
            )
            raise StateFolderTakenError(msg) from None

    def close(self) -> None:
        """Release it for another agent."""
        os.close(self._lock)

    def add(self, run: ClaimedRun, *, noun: str = PROCESS) -> RunFolder:
        """A folder for a run that is about to start."""
        path = self._runs / f"{run.flow_run_id}.{run.attempt}"
        shutil.rmtree(path, ignore_errors=True)  # of a claim that was never started
        path.mkdir(mode=0o700)
        folder = RunFolder(path, Record(run=run, noun=noun))
        folder.save()
        return folder

    def found(self, *, noun: str = PROCESS) -> Iterator[RunFolder]:
        """The folders of an earlier agent; an unreadable one is removed, because its run never started.

        Raises StateFolderTakenError for runs of another kind of agent: here they would look dead, and run twice.
        """
        for path in sorted(self._runs.iterdir()):
            try:
                record = Record.model_validate(json.loads((path / "record.json").read_text()))
            except (OSError, ValueError):
                shutil.rmtree(path, ignore_errors=True)
                continue
            if record.noun != noun:
                kind = "with" if record.noun == CONTAINER else "without"
                msg = (
                    f"The state folder {self.path} holds the run {record.run.name} in a {record.noun}. "
                    f"Start the agent {kind} --docker to take it over, or give this one its own --state."
                )
                raise StateFolderTakenError(msg)
            yield RunFolder(path, record)
