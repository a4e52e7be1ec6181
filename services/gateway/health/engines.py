"""PostgreSQL, NATS and the disk, as this gateway finds them."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from libs.runtime.bus import Bus
from libs.runtime.database import Database
from services.gateway.health.domain import Status

SLOW = 1.0
"""Seconds that PostgreSQL may take for a question that costs it nothing."""
_LEAST_FREE = 1 << 30
_LEAST_PART = 0.05

Found = tuple[Status, str | None, str | None, dict[str, int]]
"""Status, reason, version, facts."""


async def postgres(database: Database, monotonic: Callable[[], float]) -> Found:
    """Whether it answers, how soon, and whether it took what was written lately."""
    began = monotonic()
    try:
        await database.ping()
        async with asyncio.timeout(3.0):
            row = await database.pool.fetchrow(
                "SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS standby"
            )
    except Exception as error:  # whatever it is, it is the reason
        return Status.DOWN, f"PostgreSQL does not answer: {type(error).__name__}.", None, {}
    took = monotonic() - began
    version = None if row is None else str(row["version"]).split()[0]
    facts = {"answer_milliseconds": round(took * 1000)}
    if row is not None and row["standby"]:
        return Status.DEGRADED, "PostgreSQL is a standby: it takes no writes.", version, facts
    if database.disk_was_full():
        return Status.DEGRADED, "PostgreSQL cannot write: its disk is full.", version, facts
    if took > SLOW:
        return Status.DEGRADED, f"PostgreSQL answers after {took:.1f} s.", version, facts
    return Status.READY, None, version, facts


def nats(bus: Bus) -> Found:
    """Whether there is a connection, and the streams that a gateway needs."""
    if not bus.connected:
        return Status.DOWN, "NATS is not connected.", None, {}
    server = bus.client.connected_server_version
    version = f"{server.major}.{server.minor}.{server.patch}"
    missing = bus.missing()
    if missing:
        return Status.DEGRADED, ". ".join(missing) + ".", version, {}
    return Status.READY, None, version, {}


def disk(folder: Path | None) -> Found:
    """How much is free where Headwater keeps its data, if that is on this machine."""
    if folder is None:
        reason = "The engines keep their data elsewhere (HEADWATER_WATCHED_FOLDER is not set): watch their disks there."
        return Status.UNKNOWN, reason, None, {}
    try:
        found = shutil.disk_usage(folder)
    except OSError as error:
        return Status.DOWN, f"The folder {folder} cannot be read: {error.strerror}.", None, {}
    facts = {"total_bytes": found.total, "free_bytes": found.free}
    if found.free < min(_LEAST_FREE, found.total * _LEAST_PART):
        reason = f"{found.free / (1 << 20):.0f} MiB of {found.total / (1 << 30):.0f} GiB are free."
        return Status.DEGRADED, reason, None, facts
    return Status.READY, None, None, facts
