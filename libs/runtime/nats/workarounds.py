"""nats-py's connection, kept alive where nats-py 2.16 hangs or gives up.

`tests/unit/runtime/test_workarounds.py` shows of each point that the stock release still does it. When a newer one does
not, that test fails, and the workaround here is removed.

It hangs

* after a header or a subject that is not UTF-8: any client may send one, and the exception ends the reading task;
* after the answer to a `flush` that comes too late: nats-py sets the result of a future that it has cancelled, and the
  exception silently ends the reading task. The client stays "connected" and receives nothing;
* on a server that reads no more: before a reconnect, and at close, nats-py waits until the server has read all unsent
  bytes;
* when the connection is drained while the server is away or hangs: nats-py raises, and leaves it open.

It gives up

* at an error that the server sends over a standing connection (a slow consumer, too many connections, a log-in that was
  not checked in time), unless it is a stale connection or a refused subject: it then closes for good;
* at an exception that it does not expect while it connects again, a callback's among them: the task ends, and nothing
  ever tries again;
* slowly, as nodes of a cluster come back at other addresses: it keeps every address that it ever received, and tries
  each in turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
from nats.aio.client import Client, Srv
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport
from nats.protocol.parser import PERMISSIONS_ERR, STALE_CONNECTION

from libs.runtime import log

_LAST_WORDS = 2  # seconds in which a server may still read the unsent bytes of a closing connection
_CALLBACKS = (
    "error_cb",
    "disconnected_cb",
    "closed_cb",
    "discovered_server_cb",
    "reconnected_cb",
    "lame_duck_mode_cb",
)


class PatientClient(Client):
    """A connection to NATS that always comes back."""

    async def connect(self, *arguments: Any, **options: Any) -> None:
        """As nats-py's; an exception of a callback is logged and has no other effect."""
        for name in _CALLBACKS:
            if options.get(name) is not None:
                options[name] = _contained(options[name])
        await super().connect(*arguments, **options)

    @property
    def reads(self) -> bool:
        """Whether a task reads what the server sends."""
        return _is_alive(self._reading_task)

    @property
    def is_given_up(self) -> bool:
        """Whether no task here keeps or restores the connection, so that only a new process would help."""
        if self.is_connected:
            return not (self.reads and _is_alive(self._ping_interval_task))
        return not _is_alive(self._reconnection_task)

    async def _process_pong(self) -> None:
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _process_err(self, err_msg: str) -> None:
        if STALE_CONNECTION in err_msg or PERMISSIONS_ERR in err_msg:
            await super()._process_err(err_msg)
            return
        error = nats.errors.Error(f"nats: {err_msg}")
        await self._error_cb(error)
        await self._process_op_err(error)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        """None for a header that does not parse: any client may send any bytes, and nats-py would stop reading."""
        try:
            return await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError) as error:
            await self._error_cb(error)
            return None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        """Bytes of a subject that are not UTF-8 are replaced; the message then fails in its handler."""
        try:
            message: Msg = super()._build_message(sid, subject, reply, data, headers)
        except UnicodeDecodeError:
            message = super()._build_message(sid, _text(subject), _text(reply), data, headers)
        return message

    async def _read_loop(self) -> None:
        await super()._read_loop()
        if self.is_connected:  # it ended by an exception, not with the connection
            await self._process_op_err(nats.errors.StaleConnectionError())

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        await super()._process_info(info, initial_connection)
        named = set(info.get("connect_urls") or ())
        if named:
            self._server_pool = [
                server
                for server in self._server_pool
                if not server.discovered
                or server is self._current_server
                or server.uri.netloc in named
            ]

    async def _attempt_reconnect(self) -> None:
        while True:
            self._hang_up()
            try:
                await super()._attempt_reconnect()
            except Exception as error:
                await self._error_cb(error)
            mine = asyncio.current_task()
            is_over = self.is_connected or self.is_closed or self._reconnection_task is not mine
            if is_over or (mine is not None and mine.cancelling()):
                return
            self._status = Client.RECONNECTING
            await asyncio.sleep(self.options["reconnect_time_wait"])

    async def _connect_to_server(self, s: Srv) -> None:
        # The attempt before may have started a reader; one socket must not have two.
        self._hang_up()
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None:
                task.cancel()
        await super()._connect_to_server(s)

    async def drain(self) -> None:
        """Drain and close. If the server does not answer, just close."""
        try:
            await self.flush(timeout=_LAST_WORDS)
            await super().drain()
        except (nats.errors.Error, TimeoutError):
            await self.close()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        if not self.is_connected:
            self._pending, self._pending_data_size = [], 0  # the server does not read it
        late = asyncio.get_running_loop().call_later(_LAST_WORDS, self._hang_up)
        try:
            await super()._close(status, do_cbs)
        except OSError as error:
            await self._error_cb(error)
        finally:
            late.cancel()

    def _hang_up(self) -> None:
        """End the connection, and every wait for unsent bytes."""
        writer = self._transport._io_writer if isinstance(self._transport, TcpTransport) else None
        if writer is not None:
            writer.transport.abort()


def _is_alive(task: "asyncio.Task[Any] | None") -> bool:
    return task is not None and not task.done()


def _contained(callback: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def contained(*arguments: Any) -> None:
        try:
            await callback(*arguments)
        except Exception as error:
            log.get("nats").error("nats_callback_failed", error=str(error), exc_info=True)

    return contained


def _text(name: bytes) -> bytes:
    return name.decode(errors="replace").encode()
