"""Load from a process of its own that costs the machine little: prepared bytes go out, answers are searched.

A client library costs more CPU for a request than the service does for its answer (httpx 3 ms, nats-py 0.1 ms), and
what shares the cores with what it measures measures itself. Here a lane is one connection that sends its requests one
after the other, each after the answer to the one before; every answer is checked.
"""

import asyncio
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter, process_time
from typing import cast
from urllib.parse import urlsplit

import orjson
import uvloop

Lanes = Sequence[Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send. `expect` must be in each answer, `unwanted` in none; `capture` finds what to bring back of each."""

    url: str
    lanes: Lanes
    expect: bytes
    unwanted: bytes = b'"errors"'
    capture: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How long it took (`seconds`, and `latencies` of each request), the load's own CPU, what `capture` found."""

    seconds: float
    cpu: float
    latencies: list[float]
    captured: list[list[str]]
    """For each lane, in the order of its requests."""


class WrongAnswerError(AssertionError):
    """An answer that is not what the load expects; a figure made of refusals would be worth nothing."""


Drive = Callable[[Load], Answered]


@contextmanager
def load_process() -> Iterator[Callable[[Load], "asyncio.Future[Answered]"]]:
    """A process for loads: call with a `Load` and await what came of it.

    A session of its own: Linux divides the CPU among sessions first, so it has its part however busy its parent is.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=os.setsid) as pool:
        pool.submit(int).result()  # started, and not part of any figure
        yield lambda load: asyncio.get_running_loop().run_in_executor(pool, drive, load)


def http_request(body: bytes, *, path: str = "/graphql", headers: bytes = b"") -> bytes:
    """A POST as `requests` would send it."""
    return (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: python-requests/2.32\r\nAccept: */*\r\n"
        b"Content-Type: application/json\r\nX-PREFECT-CORE-VERSION: 1.4.1\r\n%sContent-Length: %d\r\n\r\n%s"
    ) % (path.encode(), headers, len(body), body)


def drive(load: Load) -> Answered:
    """Send it all. Raises WrongAnswerError."""
    return uvloop.run(_drive(load))


async def _drive(load: Load) -> Answered:
    loop = asyncio.get_running_loop()
    where = urlsplit(load.url)
    kind = (
        _Http
        if where.scheme == "http"
        else partial(_Nats, user=where.username, password=where.password)
    )
    lanes = [kind(requests, load, done=loop.create_future()) for requests in load.lanes if requests]
    for lane in lanes:
        await loop.create_connection(partial(_same, lane), where.hostname or "", where.port or 0)
        await lane.ready
    cpu, began = process_time(), perf_counter()
    for lane in lanes:
        lane.send()
    await asyncio.gather(*(lane.done for lane in lanes))
    answered = Answered(
        seconds=perf_counter() - began,
        cpu=process_time() - cpu,
        latencies=[latency for lane in lanes for latency in lane.latencies],
        captured=[lane.captured for lane in lanes],
    )
    for lane in lanes:
        lane.close()
    return answered


def _same(lane: "_Lane") -> "_Lane":
    return lane


class _Lane(asyncio.Protocol):
    def __init__(
        self, requests: Sequence[bytes], load: Load, *, done: "asyncio.Future[None]"
    ) -> None:
        self._requests = iter(requests)
        self._load = load
        self._capture = re.compile(load.capture) if load.capture else None
        self._buffer = b""
        self._sent = 0.0
        self.done = done
        self.ready: asyncio.Future[None] = done.get_loop().create_future()
        self.latencies: list[float] = []
        self.captured: list[str] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        for waiting in (self.ready, self.done):
            if not waiting.done():
                waiting.set_exception(exc or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            return
        self._sent = perf_counter()
        self.write(request)

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def answered(self, body: bytes) -> None:
        self.latencies.append(perf_counter() - self._sent)
        if self._load.expect not in body or self._load.unwanted in body:
            if not self.done.done():
                self.done.set_exception(WrongAnswerError(body[:2000].decode(errors="replace")))
            return
        if self._capture is not None:
            self.captured += [found.decode() for found in self._capture.findall(body)]
        self.send()


_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Http(_Lane):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.ready.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        end = head + 4 + int(length[1]) if length else head + 4
        if len(self._buffer) < end:
            return
        answer, self._buffer = self._buffer, b""
        if not answer.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(WrongAnswerError(answer[:2000].decode(errors="replace")))
            return
        self.answered(answer[head + 4 :])


def nats_request(subject: str, body: bytes) -> bytes:
    """A request on core NATS; the lane listens on the inbox that it is given when it connects."""
    return b"PUB %s {inbox} %d\r\n%s\r\n" % (subject.encode(), len(body), body)


class _Nats(_Lane):
    _count = 0

    def __init__(
        self,
        requests: Sequence[bytes],
        load: Load,
        *,
        done: "asyncio.Future[None]",
        user: str | None,
        password: str | None,
    ) -> None:
        super().__init__(requests, load, done=done)
        _Nats._count += 1
        self._inbox = b"_INBOX.load.%d" % _Nats._count
        self._options = {"verbose": False, "pedantic": False, "user": user, "pass": password}

    def write(self, data: bytes) -> None:
        super().write(data.replace(b"{inbox}", self._inbox, 1))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n")) >= 0:
            line = self._buffer[:end]
            if line.startswith(b"MSG"):
                length = int(line.rsplit(b" ", 1)[1])
                if len(self._buffer) < end + 4 + length:
                    return
                body = self._buffer[end + 2 : end + 2 + length]
                self._buffer = self._buffer[end + 4 + length :]
                self.answered(body)
                continue
            self._buffer = self._buffer[end + 2 :]
            self._control(line)

    def _control(self, line: bytes) -> None:
        if line.startswith(b"INFO") and not self.ready.done():
            super().write(
                b"CONNECT %s\r\nSUB %s 1\r\nPING\r\n" % (orjson.dumps(self._options), self._inbox)
            )
        elif line.startswith(b"PONG") and not self.ready.done():
            self.ready.set_result(None)
        elif line.startswith(b"PING"):
            super().write(b"PONG\r\n")
        elif line.startswith(b"-ERR"):
            self.done.set_exception(WrongAnswerError(line.decode()))
