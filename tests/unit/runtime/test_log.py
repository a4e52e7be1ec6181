"""Logs on a disk that is full."""

import subprocess
import sys

PROGRAM = """
import logging

from libs.runtime import log

log.configure(json=True)
log.get("test").error("lost", error="of no importance")
logging.getLogger("any").warning("lost too")
print("went on")
"""


def test_what_cannot_be_logged_is_lost_and_nothing_else() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(  # noqa: S603 - this interpreter and our own text
            [sys.executable, "-c", PROGRAM],
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=120,
            check=False,
        )

    assert ended.stdout == b"went on\n"
