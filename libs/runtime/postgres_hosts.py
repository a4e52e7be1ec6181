"""Connections to a PostgreSQL of several hosts; one is the primary: host=h1:5432,h2:5432 in the URL.

asyncpg tries the hosts one after the other under one timeout for all of them, so a first host that is frozen or
unreachable uses up the time of the others. Here, when a host has not answered after a short delay, the next attempt
starts beside it. The first suitable host wins; the others are dropped.

Headwater writes, so the URL need not say `target_session_attrs=primary`: it is what several hosts mean here. For
`read-write` the same is taken: the reader's role is read-only on the primary too, so no host would do for it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

CONNECT_WITHIN = 15.0
"""Seconds for all hosts together, where the caller gives none: a slower server counts as away."""

_HEAD_START = 0.5
"""Seconds before the next host is tried beside one that has not answered; a healthy one answers in milliseconds."""

_DEFAULT_PORT = 5432


class Host(NamedTuple):
    """A server: a name, an address or the folder of its socket, and its port."""

    name: str
    port: int


def hosts_of(url: str) -> list[Host]:
    """The hosts of a URL, from its authority or, where that names none, from its `host` and `port` parameters.

    Empty when the URL names none; then the driver chooses (PGHOST, the local socket).
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    listed = parts.netloc.rpartition("@")[2] or query.get("host", [""])[0]
    ports = query.get("port", [""])[0].split(",")
    found = []
    for number, item in enumerate(item for item in listed.split(",") if item):
        name, port = _split(item)
        fallback = ports[number] if number < len(ports) else ports[-1]
        found.append(Host(unquote(name), int(port or fallback or _DEFAULT_PORT)))
    return found


async def connect(
    url: str,
    *,
    timeout: float = CONNECT_WITHIN,  # noqa: ASYNC109 - asyncpg's own name, by which its pools pass it
    **options: Any,
) -> "asyncpg.Connection[asyncpg.Record]":
    """Like `asyncpg.connect`, but no host delays another.

    Raises what asyncpg raises; `TargetServerAttributeNotMatched` while hosts answer and none is the primary.
    """
    hosts = hosts_of(url)
    wanted = parse_qs(urlsplit(url).query).get("target_session_attrs", ["primary"])[0]
    if len(hosts) < 2 or wanted == "prefer-standby":
        return await asyncpg.connect(url, timeout=timeout, **options)
    role = "primary" if wanted == "read-write" else wanted

    async def one(host: Host) -> "asyncpg.Connection[asyncpg.Record]":
        target: dict[str, Any] = {
            "host": host.name,
            "port": host.port,
            "target_session_attrs": role,
            "timeout": timeout,
        }
        return await asyncpg.connect(url, **target, **options)

    async with asyncio.timeout(timeout):
        return await _first(hosts, one)


async def _first(hosts: Sequence[Host], one: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """The first connection that succeeds; if none does, raises the most useful failure."""
    waiting = list(hosts)
    running: set[asyncio.Task[asyncpg.Connection[asyncpg.Record]]] = set()
    failures: list[Exception] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(one(waiting.pop(0))))
            ended, running = await asyncio.wait(
                running,
                timeout=_HEAD_START if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in ended:
                error = task.exception()
                if error is None:
                    running |= ended - {task}
                    return task.result()
                if not isinstance(error, Exception):
                    raise error
                failures.append(error)
    finally:
        _drop(running)
    raise min(failures, key=_worth)


def _drop(tasks: "set[asyncio.Task[asyncpg.Connection[asyncpg.Record]]]") -> None:
    """Cancel the attempts that still run, and close connections that came too late."""
    for task in tasks:
        task.cancel()
        task.add_done_callback(_close)


def _close(task: "asyncio.Task[asyncpg.Connection[asyncpg.Record]]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


def _worth(error: Exception) -> int:
    """Which of several failures to raise, least first: a refusal before an outage, an answer before none."""
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return 1
    if isinstance(error, asyncpg.CannotConnectNowError):
        return 2
    return 3 if isinstance(error, OSError) else 0


def _split(item: str) -> tuple[str, str]:
    """Name and port, which may be empty; an IPv6 address stands in brackets, a socket's folder has no port."""
    if item.startswith(("/", "%2F", "%2f")):
        return item, ""
    if item.startswith("["):
        name, _, port = item[1:].partition("]")
        return name, port.removeprefix(":")
    name, _, port = item.partition(":")
    return name, port
