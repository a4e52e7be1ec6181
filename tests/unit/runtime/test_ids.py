"""Ids: UUIDv7, in the order of time, and never the same twice."""

import subprocess
import sys
import time

from libs.runtime.ids import new_id

FORKING = """
import os
from libs.runtime.ids import new_id

new_id()
theirs, mine = os.pipe()
if os.fork() == 0:
    os.write(mine, new_id().bytes[6:])
    os._exit(0)
os.wait()
print(os.read(theirs, 10) == new_id().bytes[6:])
"""


def test_an_id_is_a_uuid_of_version_7_that_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000

    made = new_id()

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_are_never_the_same() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_a_forked_process_does_not_make_the_ids_of_its_parent() -> None:
    said = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", FORKING], capture_output=True, text=True, check=True, timeout=60
    )

    assert said.stdout.strip() == "False"
