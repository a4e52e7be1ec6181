"""nats-py with a short way for requests: Headwater asks and answers thousands of times a second.

nats-py spends some 200 us on a request that one process sends and another answers: each message goes through two
regular expressions on a bytearray, a queue and a task of its subscription; each write wakes a flusher task by a future;
each wait for an answer makes a task. Here

* messages are cut out of the socket's bytes by `find` and `split`;
* answers go straight to the future of who asked, requests straight to a callback that may not wait (`take`);
* what is published within one turn of the event loop is one write; a full socket is left to nats-py's flusher, which
  waits for it;
* a deadline is one timer, and who waits for an answer that was lost with the connection is told before it;
* a batch of a durable consumer is what has arrived, not a task a message (`Pull`).

Everything else stays nats-py's business: connecting, TLS, permissions, reconnecting, drain, JetStream, and the
subscriptions that have a queue, with their slow consumers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import nats.errors
import nats.js.errors
import orjson
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import Parser

from libs.runtime.nats.address import NatsAddress
from libs.runtime.nats.workarounds import PatientClient

Take = Callable[[Msg], None]

_M, _H = b"MH"
_RUN_OUT = frozenset({"404", "408"})  # there was nothing, or not in time
_GRACE = 1.0  # seconds after which a request that the server should have ended counts as lost
_ANSWERED_LATE = 2.0
"""Seconds: who answers may have lost the connection too, tries once a second to have it again, and answers then."""


class LeanClient(PatientClient):
    """A connection to NATS that can do all that nats-py's can."""

    def __init__(self) -> None:
        super().__init__()
        self._ps: Parser = _LeanParser(self)
        self._takers: dict[int, Take] = {}
        self._inbox = ""
        self._asked = 0
        self._write_due = False

    async def take(self, subject: str, callback: Take, *, queue: str = "") -> Subscription:
        """Hand each message to `callback` while it is read: no queue, no task. It must be quick and may not wait."""
        subscription = await self.subscribe(subject, queue=queue)
        self._takers[subscription._id] = callback
        return subscription

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self._takers.pop(sid, None)

    # in

    async def deliver(
        self, sid: int, subject: bytes, reply: bytes, body: bytes, headers: bytes
    ) -> None:
        """One message, as the parser found it."""
        taker = self._takers.get(sid)
        if taker is None:
            await self._process_msg(sid, subject, reply, body, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(body)
        parsed = await self._process_headers(headers) if headers else None
        try:
            taker(self._build_message(sid, subject, reply, body, parsed))
        except Exception as error:  # a callback's surprise must not end the reading
            await self._error_cb(error)

    # out

    async def _flush_pending(self, force_flush: bool = False) -> None:
        if force_flush:
            await super()._flush_pending(force_flush=True)
        elif not self._write_due:
            self._write_due = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        """Write what this turn of the loop has published. Without a connection it waits for the next one."""
        self._write_due = False
        if not self._pending or not self.is_connected:
            return
        writer = self._transport._io_writer if isinstance(self._transport, TcpTransport) else None
        socket = writer.transport if writer is not None else None
        if socket is None or socket.is_closing() or socket.get_write_buffer_size():
            if self._flush_queue is not None and self._flush_queue.empty():
                self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())
            return
        pending, self._pending, self._pending_data_size = self._pending, [], 0
        socket.write(b"".join(pending))

    # asking

    async def _init_request_sub(self) -> None:
        self._resp_map = {}
        self._resp_sub_prefix = self._inbox_prefix + b"." + self._nuid.next() + b"."
        self._inbox = self._resp_sub_prefix.decode()
        await self.take(f"{self._inbox}*", self._take_answer)

    def _take_answer(self, message: Msg) -> None:
        answer = self._resp_map.get(message.subject.rpartition(".")[2])
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def begin(
        self,
        subject: str,
        payload: bytes,
        timeout: float,  # noqa: ASYNC109 - the wire's own deadline
        headers: dict[str, str] | None = None,
    ) -> "asyncio.Future[Msg]":
        """Send a request; what it gives brings the answer, or raises nats' TimeoutError. 503 says nobody listens."""
        if self.is_draining_pubs:
            raise nats.errors.ConnectionDrainingError
        if not self._resp_sub_prefix:
            await self._init_request_sub()
        self._asked += 1
        token = str(self._asked)  # the prefix is random, and only this service may read below it
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        # Before it is sent: a full socket is waited for, and the answer may come then.
        self._resp_map[token] = answer
        late = loop.call_later(timeout, _expire, answer)

        def end(_: object) -> None:
            late.cancel()
            del self._resp_map[token]

        answer.add_done_callback(end)
        try:
            await self.publish(subject, payload, reply=self._inbox + token, headers=headers)
        except BaseException:
            answer.cancel()
            raise
        return answer

    async def _request_new_style(
        self,
        subject: str,
        payload: bytes,
        timeout: float = 1,  # noqa: ASYNC109 - nats-py's signature
        headers: dict[str, str] | None = None,
    ) -> Msg:
        return await (await self.begin(subject, payload, timeout, headers))

    async def _attempt_reconnect(self) -> None:
        """Connect again; an answer that went to the lost connection is not waited for till its deadline.

        What is asked meanwhile is sent when there is a connection, and has all its time.
        """
        asked = list(self._resp_map.values())
        await super()._attempt_reconnect()
        if asked and self.is_connected:
            asyncio.get_running_loop().call_later(_ANSWERED_LATE, _lose, asked)

    async def begin_event(
        self,
        subject: str,
        body: bytes,
        *,
        stream: str,
        headers: dict[str, str],
        timeout: float,  # noqa: ASYNC109 - the wire's own deadline
    ) -> "asyncio.Future[Msg]":
        """Publish on JetStream; `acknowledged` reads the answer, which many can be waited for together."""
        expected = headers | {"Nats-Expected-Stream": stream}
        return await self.begin(subject, body, timeout, expected)


def acknowledged(answer: Msg) -> None:
    """Return where the answer says that the stream holds the message; raise what it says otherwise."""
    if answer.headers and answer.headers.get("Status") == "503":
        raise nats.js.errors.NoStreamResponseError
    said = orjson.loads(answer.data)
    if "error" in said:
        raise nats.js.errors.APIError.from_error(said["error"])


class Pull:
    """Messages of a durable consumer, taken straight from the socket.

    nats-py's `fetch` asks twice and makes a task for each message. Here one request stands at the server until it is
    used up or has expired, and what arrives meanwhile is the next batch.
    """

    def __init__(self, client: LeanClient, stream: str, durable: str) -> None:
        self._client = client
        self._ask = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription
        self._got: list[Msg] = []
        self._outstanding = 0  # messages that the server may still send for what was asked
        self._expires = 0.0
        self._failure: nats.errors.Error | None = None
        self._waiting: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, client: LeanClient, stream: str, durable: str) -> "Pull":
        """A pull on a consumer that exists; where it does not, `fetch` says so."""
        pull = cls(client, stream, durable)
        pull._subscription = await client.take(pull._inbox, pull._take)
        return pull

    async def fetch(self, batch: int, *, wait: float, ahead: int = 0) -> list[Msg]:
        """What has arrived, at most `batch`; TimeoutError when nothing does for `wait` seconds, nats' Error when the
        server refuses or nobody serves the consumer. With `ahead`, more is asked for while less than so many wait here.
        """
        loop = asyncio.get_running_loop()
        is_open = self._outstanding > 0 and loop.time() < self._expires
        if self._failure is None and len(self._got) < max(ahead, 1) and not is_open:
            self._outstanding = max(batch, ahead - len(self._got))
            self._expires = loop.time() + wait
            asked = orjson.dumps({"batch": self._outstanding, "expires": int(wait * 1e9)})
            await self._client.publish(self._ask, asked, reply=self._inbox)
        if not self._got and self._failure is None:
            self._waiting = loop.create_future()
            async with asyncio.timeout(wait + _GRACE):
                await self._waiting
        if self._got:
            taken, self._got = self._got[:batch], self._got[batch:]
            return taken
        failure, self._failure = self._failure, None
        raise failure or TimeoutError

    async def close(self, *, settled: Callable[[], Awaitable[None]]) -> None:
        """Ask no more; what the server has sent until then is given back at once. `settled` waits until it has."""
        await self._client._send_unsubscribe(self._subscription._id)
        await settled()
        for message in self._got:
            await message.nak()
        self._client._remove_sub(self._subscription._id)

    async def abandon(self) -> None:
        """Ask no more, of a server that may be gone; what it has sent is delivered again."""
        with suppress(nats.errors.Error, OSError):
            await self._subscription.unsubscribe()

    def _take(self, message: Msg) -> None:
        if message.reply:
            self._got.append(message)
            self._outstanding -= 1
        else:
            self._outstanding = 0
            headers = message.headers or {}
            status = headers.get("Status")
            if status not in _RUN_OUT:
                text = f"nats: the pull was refused: {status} {headers.get('Description', '')}"
                self._failure = nats.errors.Error(text)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class LeanBroker(NatsBroker):
    """FastStream's broker on a `LeanClient`. `callbacks` are nats-py's, as `connect` takes them.

    FastStream has its own: they raise some errors again (a refused log-in, a stale connection) in the midst of
    nats-py's attempts to reconnect, which end with them.
    """

    def __init__(
        self,
        address: NatsAddress,
        *,
        callbacks: Mapping[str, Callable[..., Awaitable[None]]],
        **options: Any,
    ) -> None:
        super().__init__(list(address.servers), **options)
        self._ours = address.options() | dict(callbacks)

    async def _connect(self) -> Client:
        connection = LeanClient()
        await connection.connect(**(self._connection_kwargs | self._ours))
        self.config.connect(connection)
        return connection


class _LeanParser(Parser):
    """nats-py's parser, but for messages. Lines (INFO, PING, PONG, -ERR) are its own business."""

    nc: LeanClient

    def reset(self) -> None:
        super().reset()
        self._rest = bytearray()
        self._wanted = 0  # bytes without which the next message is not whole
        self._resets = getattr(self, "_resets", 0) + 1

    async def parse(self, data: bytes = b"") -> None:
        """Take the whole messages and lines; keep the rest until more has come."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return
            data = bytes(self._rest)
        resets, size, at, self._wanted = self._resets, len(data), 0, 0
        deliver = self.nc.deliver
        while (end := data.find(b"\r\n", at)) != -1:
            kind, start = data[at], end + 2
            if kind in (_M, _H):
                # MSG subject sid [reply] size; HMSG has the header's before it. Other white space than a space may be
                # in a stranger's subject: split there, it would cost the connection.
                words = data[at:end].split(b" ")
                plain = kind == _M
                try:
                    sid, past = int(words[2]), start + int(words[-1])
                    body = start if plain else start + int(words[-2])
                except (ValueError, IndexError):
                    raise nats.errors.ProtocolError from None
                if past + 2 > size:
                    self._wanted = past + 2 - at
                    break
                at = past + 2
                reply = words[3] if len(words) == (5 if plain else 6) else b""
                await deliver(sid, words[1], reply, data[body:past], data[start:body])
            else:
                line, at = data[at:start], start
                await super().parse(line)
            if resets != self._resets:
                return  # the connection was given up: what is left came from the old one
        self._rest = bytearray(data[at:])


def _expire(answer: "asyncio.Future[Msg]") -> None:
    if not answer.done():
        answer.set_exception(nats.errors.TimeoutError())


def _lose(asked: "list[asyncio.Future[Msg]]") -> None:
    for answer in asked:
        if not answer.done():
            answer.set_exception(nats.errors.StaleConnectionError())
