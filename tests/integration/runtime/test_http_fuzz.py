"""Whatever bytes come for a request, the server answers or closes, raises nothing, and serves the next one.

Each case is a walk through the states of a request (line, headers, end, body), at each step with something that may
stand there, may not, or is another step's. What a case sent is in the failure, as a line to keep;
`HEADWATER_TEST_EXAMPLES=100` tries a hundred thousand.
"""

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.integration.runtime.test_http_limits import connected, is_well, rest, serving
from tests.support.eventually import eventually
from tests.support.examples import examples
from tests.support.found_by_fuzz import REQUESTS, found_in, line_for

CASES = 1_000
LINES = (
    b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"POST /graphql?a=%20%zz HTTP/1.1", b"POST / HTTP/1.0", b"GET / HTTP/2.0",
    b"OPTIONS * HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"PRI * HTTP/2.0", b"get / http/1.1", b"GET  /  HTTP/1.1", b"GET /",
    b"G\x00T / HTTP/1.1", b"POST http://[::1 HTTP/1.1", b"POST //a HTTP/1.1", b"POST /\xff HTTP/1.1", b"", 
    b"\x16\x03\x01", b"GET http://a:99999/ HTTP/1.1", b"GET /%ff%fe HTTP/1.1", b"GET ? HTTP/1.1", b"GET # HTTP/1.1",
)  # fmt: skip
HEADERS = (
    b"host: x", b"host:", b"host: x\x00", b"Host: x\r\nhost: y", b"content-length: 5", b"content-length: 5, 5",
    b"content-length: 0", b"content-length: -1", b"content-length: 99999999999999999999", b"content-length: +5",
    b"content-length: 0x5", b"transfer-encoding: chunked", b"transfer-encoding: chunked, identity",
    b"transfer-encoding: gzip", b"Transfer-Encoding : chunked", b"expect: 100-continue", b"connection: close",
    b"connection: upgrade\r\nupgrade: websocket", b"upgrade: h2c", b" folded", b"no colon", b": no name",
    b"a: \xff\xfe",
    b"a: " + b"x" * 9_000, b"x" * 9_000 + b": a", b"a\x00: b", b"a: b\nc: d", b"a: b\rc", b"trailer: a",
)  # fmt: skip
BODIES = (
    b"", b"12345", b"1234", b"123456", b"5\r\n12345\r\n0\r\n\r\n", b"5\r\n1234", b"fffffffffffffffff\r\n", b"-1\r\n",
    b"0\r\n\r\n", b"0\r\na: b\r\n\r\n", b"5;a=b\r\n12345\r\n0\r\n\r\n", b"5\n12345\n0\n\n",
    b"0\r\n" + b"a: b\r\n" * 200,
    b"1\r\nx\r\n" * 50, b"\x00" * 100, b"g\r\n", bytes(70_000),
)  # fmt: skip
ENDS = (b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n", b" ")
STATUSES = {b"100", b"200", b"400", b"408", b"431"}


def steps(draw: random.Random) -> Iterator[bytes]:
    """One connection's bytes: some requests, most of them nearly right."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        yield (LINES[1] if draw.random() < 0.6 else draw.choice(LINES)) + _end(draw)
        for _ in range(draw.choice((0, 1, 2, 3, 5, 120) if draw.random() < 0.1 else (0, 1, 2, 3))):
            yield (draw.choice(HEADERS if draw.random() < 0.9 else LINES + BODIES[:5]) + _end(draw))
        yield _end(draw)
        yield draw.choice(BODIES)


def _end(draw: random.Random) -> bytes:
    return b"\r\n" if draw.random() < 0.9 else draw.choice(ENDS)


def damaged(draw: random.Random, sent: bytes) -> bytes:
    """Now and then a byte is lost, doubled or another."""
    if sent and draw.random() < 0.3:
        place = draw.randrange(len(sent))
        other = draw.choice((b"", sent[place : place + 1] * 2, bytes([draw.randrange(256)])))
        sent = sent[:place] + other + sent[place + 1 :]
    return sent


def parcels(seed: int) -> list[bytes]:
    """All that one case sends, in the pieces in which it does."""
    draw = random.Random(seed)  # noqa: S311 - nothing is kept secret
    sent = damaged(draw, b"".join(steps(draw)))
    cuts = sorted(draw.randrange(len(sent) + 1) for _ in range(draw.choice((0, 1, 3))))
    return [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


async def answered(port: int, sent: Sequence[bytes]) -> bytes:
    """All that comes back for one case."""
    async with connected(port) as (reader, writer):
        for parcel in sent:
            if writer.is_closing():
                break
            writer.write(parcel)
        if not writer.is_closing() and writer.can_write_eof():
            writer.write_eof()
        return await rest(reader)


Try = Callable[[Sequence[bytes]], Awaitable[None]]


@asynccontextmanager
async def trying() -> AsyncIterator[Try]:
    """A function that sends one case to one server, which is well at the end."""
    # What tests before left for the collector would be reported to this handler.
    gc.collect()
    surprises: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: surprises.append(context))
    try:
        async with serving(head_bytes=8_192) as port:

            async def one(sent: Sequence[bytes]) -> None:
                found = await answered(port, sent)

                keep = line_for(REQUESTS, parcels=[parcel.decode("latin-1") for parcel in sent])
                assert not surprises, f"{surprises}. {keep}"
                assert not found or found.startswith(b"HTTP/1.1 "), f"{found!r}. {keep}"
                statuses = {part[:3] for part in found.split(b"HTTP/1.1 ")[1:]}
                assert statuses <= STATUSES, f"{statuses}. {keep}"

            yield one
            assert await eventually(lambda: is_well(port))
    finally:
        loop.set_exception_handler(before)


async def test_no_bytes_make_the_server_fail() -> None:
    async with trying() as one:
        for seed in range(examples(CASES)):
            await one(parcels(seed))


async def test_what_was_once_found_makes_the_server_fail_no_more() -> None:
    async with trying() as one:
        for found in found_in(REQUESTS):
            await one([parcel.encode("latin-1") for parcel in found["parcels"]])
