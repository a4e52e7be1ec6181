"""The processes that the demo starts, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from deploy.demo.failure import DemoFailedError
from deploy.engines.spawn import dying_with_us

# Longer than Headwater needs to drain (20 s), so that its databases are closed and not cut off.
GRACE = 30.0


class Child:
    """A process with a session of its own and a log file. The kernel ends it if the demo is killed.

    The session keeps a terminal's Ctrl-C from reaching it: the demo decides in which order things
    end. It is also how the agent's flow runs, which outlive their agent by design, are found.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    @contextmanager
    def running(
        cls, name: str, command: list[str], *, env: dict[str, str], log: Path
    ) -> Iterator[Self]:
        """Run the command as long as the body lasts."""
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command lines, no user input
                dying_with_us(command, death_signal=signal.SIGTERM),
                env=env,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = cls(name, process, log)
        try:
            yield child
        finally:
            child._stop()

    def check(self) -> None:
        """Fail, with its last output, if it ended by itself."""
        if (code := self._process.poll()) is not None:
            raise DemoFailedError(
                f"{self.name} ended with exit code {code}. Its last words ({self.log}):\n"
                + self.last_words()
            )

    def last_words(self, lines: int = 15) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            # Its remaining children: an agent leaves its flow runs to finish alone.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def run_to_end(what: str, command: list[str], *, env: dict[str, str], timeout: float = 90.0) -> str:
    """Run a command that ends by itself and return what it printed."""
    try:
        done = subprocess.run(  # noqa: S603 - our own command lines, no user input
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoFailedError(f"{what} did not end within {timeout:.0f} s") from error
    if done.returncode:
        said = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-15:])
        raise DemoFailedError(f"{what} failed with exit code {done.returncode}:\n{said}")
    return done.stdout
