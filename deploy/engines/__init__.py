"""The embedded engines: PostgreSQL and nats-server as child processes of Headwater, the same programs as in production.

Purpose
    `EmbeddedEngines` starts both from their PyPI wheels, keeps them alive and stops them. No Docker and no root needed.

Owns
    One data folder (`HEADWATER_DATA`): a lock, the ports, the passwords, the logs and both stores. See `folder`.

Guarantees
    * One Headwater per data folder. The lock is the kernel's (flock), so it cannot outlive its process.
    * The ports are chosen once and kept: over restarts of the same data if they are still free, and always while
      running, so that clients of an engine that crashed find it again by themselves.
    * An engine that dies is restarted, first at once and then with growing pauses, on the same port and data. The
      pauses start again at zero after half a minute up. A failed start is always repeated.
    * No orphans. The kernel signals the engines when their parent dies, even by kill -9 (`launch`); remaining ones are
      found by the pid file at the next start and ended, after a check of their command line.
    * A password is always required: SCRAM for PostgreSQL, also on its socket; one user for NATS.
    * PostgreSQL refuses to run as root. Started by root, both engines run as a user of their own, whose
      files no other user can read (`account`).

What happens when
    the disk fills up    PostgreSQL accepts no writes and says so in its log; the supervisor keeps restarting it.
    a port is taken      at start another one is chosen; while running, the supervisor waits until it is free again.
    Headwater is killed  PostgreSQL makes a fast shutdown, or recovers from its WAL at the next start: nothing that was
                         committed is lost. JetStream's file store is as the last write to the page cache left it.

Will not do
    Upgrade data of another major version of PostgreSQL, listen on anything but loopback, or create system accounts.
"""

from deploy.engines.embedded import DURABLE, FOR_TESTS, EmbeddedEngines, Endpoints
from deploy.engines.errors import EngineError
from deploy.engines.folder import DataFolder

__all__ = [
    "DURABLE",
    "FOR_TESTS",
    "DataFolder",
    "EmbeddedEngines",
    "Endpoints",
    "EngineError",
]
