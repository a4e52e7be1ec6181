"""What the real `prefect.schedules` of Core 1.4.1 answers, asked in a process of its own environment."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from deploy.clients import install

_PROGRAM = """
import json, sys
import pendulum
from prefect.serialization.schedule import ScheduleSchema

for line in sys.stdin:
    question = json.loads(line)
    try:
        schedule = ScheduleSchema().load(question["schedule"])
        after = pendulum.parse(question["after"])
        events = schedule.next(question["n"], after=after, return_events=True)
        answer = [
            [e.start_time.in_tz("UTC").isoformat(), e.parameter_defaults, e.labels] for e in events
        ]
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print("@" + json.dumps(answer), flush=True)
"""


@dataclass(frozen=True, slots=True)
class PrefectSchedules:
    """A running process that answers one question at a time."""

    process: "subprocess.Popen[str]"

    def next(self, schedule: dict[str, Any], n: int, *, after: datetime) -> list[list[Any]] | str:
        """[UTC time, parameters, labels] of each event, or what was raised."""
        question = {"schedule": schedule, "n": n, "after": after.isoformat()}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("@"):
                return cast("list[list[Any]] | str", json.loads(line[1:]))
        msg = "the prefect process has ended"
        raise AssertionError(msg)


@contextmanager
def prefect_schedules() -> Iterator[PrefectSchedules]:
    """The real thing; its environment is made when it is not there yet."""
    environment = install.ensure("1.4.1", report=print)  # pytest shows it with a failure
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [str(environment.python), "-W", "ignore", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield PrefectSchedules(process)
    finally:
        process.terminate()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
