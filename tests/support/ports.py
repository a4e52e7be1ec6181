"""Ports for servers that have to be told theirs."""

import os
import random

from deploy.engines.folder import is_free

_FIRST, _LAST = 11_000, 15_000
"""Below the ports of the engines and those that the kernel gives away, and without one that browsers refuse."""
_WORKERS = 8
"""Most workers of one run; each has ports of its own, since minutes may pass between the choice and the server."""
_given: set[int] = set()


def free_port() -> int:
    """A loopback port that nobody listens on, and that no test of this run is given again."""
    # "gw1" is the second worker; without workers there is one.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(_FIRST + worker % _WORKERS, _LAST, _WORKERS)
    # At random: another run on this machine chooses from the same.
    for port in random.sample(ports, len(ports)):
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    msg = f"there is no free port from {_FIRST} to {_LAST}"
    raise AssertionError(msg)
