"""nats-py with a shorter path for requests: Headwater sends and answers thousands a second.

nats-py spends some 200 us on a request that one process sends and another answers: each message goes through two
regular expressions on a bytearray, a queue and a task of its subscription; each write wakes a flusher task by a future;
each wait for an answer makes a task. Here

* messages are parsed from the socket's bytes by `find` and `split`;
* answers go straight to the caller's future, requests straight to a callback that may not wait (`take`);
* what is published within one turn of the event loop is one write; a full socket is left to nats-py's flusher, which
  waits for it;
* all deadlines share a timer, and a caller whose answer was lost with the connection gets the error before it;
* a batch of a durable consumer is the list of arrived messages, not one task per message (`Pull`).

Everything else is done by nats-py: connecting, TLS, permissions, reconnecting, drain, JetStream, and the subscriptions
that have a queue, with their slow consumers.
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
from libs.runtime.nats.deadlines import Deadlines
from libs.runtime.nats.workarounds import PatientClient

Take = Callable[[Msg], None]

_M, _H = b"MH"
_RUN_OUT = frozenset({"404", "408"})  # no message, or not in time
_GRACE = 1.0  # seconds after which a request that the server should have ended counts as lost
_ANSWERED_LATE = 2.0
"""Seconds: the responder may have lost its connection too. It reconnects once a second, and answers then."""


class LeanClient(PatientClient):
    """A connection to NATS with everything that nats-py's has."""

    def __init__(self) -> None:
        super().__init__()
        self._ps: Parser = _LeanParser(self)
        self._takers: dict[int, Take] = {}
        self._inbox = ""
        self._asked = 0
        self._deadlines = Deadlines(self._is_late)
        self._write_due = False

    async def take(self, subject: str, callback: Take, *, queue: str = "") -> Subscription:
        """Hand each message to `callback` while it is read: no queue, no task. It must be quick and may not wait."""
        subscription = await self.subscribe(subject, queue=queue)
        self._takers[subscription._id] = callback
        return subscription

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self._takers.pop(sid, None)

    # reading

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
            message = Msg(self, subject.decode(), reply.decode(), body, parsed, _sid=sid)
        except UnicodeDecodeError:
            message = self._build_message(sid, subject, reply, body, parsed)
        try:
            taker(message)
        except Exception as error:  # an exception of a callback must not end the reading
            await self._error_cb(error)

    # writing

    async def _flush_pending(self, force_flush: bool = False) -> None:
        if force_flush:
            await super()._flush_pending(force_flush=True)
        elif not self._write_due:
            self._write_due = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        """Write the messages of this turn of the loop. Without a connection they wait for the next one."""
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

    def post(self, subject: str, reply: str, payload: bytes) -> bool:
        """Publish without headers and without waiting: so each verb is asked and answered.

        False, with nothing done, where `publish` must decide: without a connection, with a full buffer, for a payload
        that is too large. Subjects are not checked: a verb's is a constant, and a reply came over the wire.
        """
        size = len(payload)
        if (
            self._status != Client.CONNECTED
            or size > self._max_payload
            or 0 < self._max_pending_size < self._pending_data_size + size
        ):
            return False
        command = b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), size, payload)
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += size
        self._pending.append(command)
        self._pending_data_size += len(command)
        if not self._write_due:
            self._write_due = True
            asyncio.get_running_loop().call_soon(self._write)
        return True

    # requests

    async def _init_request_sub(self) -> None:
        self._resp_map = {}
        self._resp_sub_prefix = self._inbox_prefix + b"." + self._nuid.next() + b"."
        self._inbox = self._resp_sub_prefix.decode()
        await self.take(f"{self._inbox}*", self._take_answer)

    def _take_answer(self, message: Msg) -> None:
        answer = self._resp_map.pop(message.subject.rpartition(".")[2], None)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def ask(self, subject: str, payload: bytes, timeout: float) -> "asyncio.Future[Msg] | None":
        """Send a request as `begin` does, without waiting. None, with nothing done, where `begin` must decide."""
        if not self._inbox or self._status != Client.CONNECTED:
            return None
        token, answer = self._expect(timeout)
        if self.post(subject, self._inbox + token, payload):
            return answer
        del self._resp_map[token]
        return None

    def _expect(self, timeout: float) -> "tuple[str, asyncio.Future[Msg]]":
        """The token of a new request, and its answer to come.

        Registered before the request is sent: while we wait for a full socket the answer may come.
        """
        self._asked += 1
        # The prefix is random, and only this service may read below it.
        token = str(self._asked)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        self._resp_map[token] = answer
        self._deadlines.add(loop, timeout, token)
        return token, answer

    def _is_late(self, token: str) -> None:
        answer = self._resp_map.pop(token, None)
        if answer is not None and not answer.done():
            answer.set_exception(nats.errors.TimeoutError())

    async def begin(
        self,
        subject: str,
        payload: bytes,
        timeout: float,  # noqa: ASYNC109 - the wire's own deadline
        headers: dict[str, str] | None = None,
    ) -> "asyncio.Future[Msg]":
        """Send a request. The result awaits the answer, or raises nats' TimeoutError. 503 means no responder."""
        if self.is_draining_pubs:
            raise nats.errors.ConnectionDrainingError
        if not self._resp_sub_prefix:
            await self._init_request_sub()
        token, answer = self._expect(timeout)
        reply = self._inbox + token
        try:
            if headers is not None or not self.post(subject, reply, payload):
                await self.publish(subject, payload, reply=reply, headers=headers)
        except BaseException:
            answer.cancel()
            self._resp_map.pop(token, None)
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
        """Reconnect. Requests whose answer went to the lost connection do not wait until their deadline.

        Requests made meanwhile are sent on the new connection, and have their whole time.
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
        """Publish on JetStream. `acknowledged` reads the answer, so many can be awaited together."""
        expected = headers | {"Nats-Expected-Stream": stream}
        return await self.begin(subject, body, timeout, expected)


def acknowledged(answer: Msg) -> None:
    """Return when the answer says that the stream holds the message; else raise its error."""
    if answer.headers and answer.headers.get("Status") == "503":
        raise nats.js.errors.NoStreamResponseError
    said = orjson.loads(answer.data)
    if "error" in said:
        raise nats.js.errors.APIError.from_error(said["error"])


class Pull:
    """Messages of a durable consumer, taken straight from the socket.

    nats-py's `fetch` asks twice and makes a task for each message. Here one request is open at the server until it is
    used up or expires, and the messages that arrive meanwhile are the next batch.
    """

    def __init__(self, client: LeanClient, stream: str, durable: str) -> None:
        self._client = client
        self._ask = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription
        self._got: list[Msg] = []
        self._outstanding = 0  # messages that the server may still send for our requests
        self._expires = 0.0
        self._failure: nats.errors.Error | None = None
        self._waiting: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, client: LeanClient, stream: str, durable: str) -> "Pull":
        """A pull on a consumer. If it does not exist, `fetch` raises."""
        pull = cls(client, stream, durable)
        pull._subscription = await client.take(pull._inbox, pull._take)
        return pull

    async def fetch(self, batch: int, *, wait: float, ahead: int = 0) -> list[Msg]:
        """The arrived messages, at most `batch`. TimeoutError when none arrives for `wait` seconds, nats' Error when
        the server refuses or the consumer has no leader. With `ahead`, more are requested while fewer than this wait
        here.
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
        """Request no more, and give back at once what the server has sent until then. `settled` waits until it has sent
        it."""
        await self._client._send_unsubscribe(self._subscription._id)
        await settled()
        for message in self._got:
            await message.nak()
        self._client._remove_sub(self._subscription._id)

    async def abandon(self) -> None:
        """Request no more from a server that may be gone; its unhandled messages are delivered again."""
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

    FastStream's own callbacks raise some errors again (a refused log-in, a stale connection). That would end nats-py's
    attempts to reconnect.
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
    """Replaces nats-py's parser for messages. Lines (INFO, PING, PONG, -ERR) are left to nats-py."""

    nc: LeanClient

    def reset(self) -> None:
        super().reset()
        self._rest = bytearray()
        self._wanted = 0  # bytes without which the next message is not whole
        self._resets = getattr(self, "_resets", 0) + 1

    async def parse(self, data: bytes = b"") -> None:
        """Parse the complete messages and lines; keep the rest until more bytes come."""
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
                # MSG subject sid [reply] size; HMSG has the header's before it. A client's subject may have white space
                # other than a space; a split there would cost the connection.
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
                return  # the connection was closed: the remaining bytes came from the old one
        self._rest = bytearray(data[at:])


def _lose(asked: "list[asyncio.Future[Msg]]") -> None:
    for answer in asked:
        if not answer.done():
            answer.set_exception(nats.errors.StaleConnectionError())
