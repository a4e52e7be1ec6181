"""What the lean client cuts out of the socket's bytes, beside what nats-py's own parser does."""

import asyncio
from itertools import pairwise
from typing import Any

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.protocol.parser import Parser

from libs.runtime.nats.lean import _LeanParser

Heard = list[tuple[Any, ...]]


class Ears:
    """A client that writes down what its parser tells it."""

    def __init__(self) -> None:
        self.heard: Heard = []

    async def deliver(
        self, sid: int, subject: bytes, reply: bytes, body: bytes, headers: bytes | None
    ) -> None:
        self.heard.append((sid, subject, reply, body, headers or b""))

    _process_msg = deliver

    async def _process_ping(self) -> None:
        self.heard.append(("PING",))

    async def _process_pong(self) -> None:
        self.heard.append(("PONG",))

    async def _process_err(self, text: str) -> None:
        self.heard.append(("-ERR", text))

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.heard.append(("INFO", info))


def hear(parser_type: type[Parser], chunks: list[bytes]) -> Heard:
    ears = Ears()
    parser = parser_type(ears)

    async def read() -> None:
        for chunk in chunks:
            await parser.parse(chunk)

    asyncio.run(read())
    return ears.heard


def plain(subject: bytes, reply: bytes, body: bytes) -> bytes:
    return b"MSG %s 7 %s%d\r\n%s\r\n" % (subject, reply, len(body), body)


def with_headers(subject: bytes, reply: bytes, body: bytes, value: bytes) -> bytes:
    headers = b"NATS/1.0\r\nA: %s\r\n\r\n" % value
    sizes = (len(headers), len(headers) + len(body))
    return b"HMSG %s 12 %s%d %d\r\n%s%s\r\n" % (subject, reply, *sizes, headers, body)


SUBJECTS = st.sampled_from([b"a", b"hw.rpc.runs.set_states", b"MSG", b"PING"])
REPLIES = st.sampled_from([b"", b"_INBOX.x.1 "])
BODIES = st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n", b"MSG a 1 0\r\n\r\n"]))
WIRE = st.one_of(
    st.builds(plain, SUBJECTS, REPLIES, BODIES),
    st.builds(with_headers, SUBJECTS, REPLIES, BODIES, st.sampled_from([b"", b"1", b"x y"])),
    st.sampled_from(
        [
            b"PING\r\n",
            b"PONG\r\n",
            b"+OK\r\n",
            b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n",
            b'INFO {"max_payload":1}\r\n',
        ]
    ),
)


@given(st.lists(WIRE, max_size=8), st.lists(st.integers(0, 600), max_size=6))
def test_however_the_bytes_arrive_the_same_is_heard_as_by_nats_py(
    parts: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(parts)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert hear(_LeanParser, chunks) == hear(Parser, [stream])


@pytest.mark.parametrize("line", [b"MSG a\r\n", b"MSG a b c\r\n", b"HMSG a 1 x 3\r\n", b"MUCH\r\n"])
def test_what_is_not_the_protocol_is_said_to_be_so(line: bytes) -> None:
    with pytest.raises(nats.errors.ProtocolError):
        hear(_LeanParser, [line])


def test_nothing_of_a_connection_that_was_given_up_is_heard_after_it() -> None:
    class GivesUp(Ears):
        async def _process_err(self, text: str) -> None:
            self.heard.append(("-ERR", text))
            parser.reset()

    ears = GivesUp()
    parser = _LeanParser(ears)
    asyncio.run(parser.parse(b"-ERR 'Stale Connection'\r\nMSG a 1 1\r\nx\r\nMSG a 1 9\r\n"))
    asyncio.run(parser.parse(b"PONG\r\n"))
    assert ears.heard == [("-ERR", "'stale connection'"), ("PONG",)]
