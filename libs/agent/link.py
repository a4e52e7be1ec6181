"""The connection to Headwater, restored for ever."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import TypeAdapter, ValidationError

from . import credentials, wire
from .address import Address
from .metrics import Metrics
from .say import Say

Rep = TypeVar("Rep", bound=wire.Message)
Callback = Callable[[Msg], Awaitable[None]]

_PAUSE = 2.0  # seconds between two attempts to connect; the client adds its own jitter
_ANSWER_WITHIN = 10.0
_STORED_WITHIN = 5.0


class UnreachableError(Exception):
    """No answer; the request may or may not have been carried out, and may be repeated."""


class NoTlsError(nats.errors.Error):
    """The server does not use TLS, but TLS is required."""


class _Client(Client):
    """Always reconnects, and never sends the key without TLS when TLS is required.

    nats-py closes for good at every error except a stale connection, stops reconnecting at an unexpected exception, and
    does without TLS when the server does not ask for it. (The services' `libs/runtime/nats/workarounds.py` goes
    further.)
    """

    is_showing_key_again = False
    """Whether the connection ended because the log-in expired, which is normal and not logged."""

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg.lower():  # of one subject: the connection stays
            await super()._process_err(err_msg)
            return
        error = nats.errors.Error(f"nats: {err_msg}")
        self.is_showing_key_again = "authentication expired" in err_msg.lower()
        if not self.is_showing_key_again:
            await self._error_cb(error)
        await self._process_op_err(error)

    async def _attempt_reconnect(self) -> None:
        while True:
            with suppress(Exception):  # a lasting error comes again and is logged then
                await super()._attempt_reconnect()
            mine = asyncio.current_task()
            is_over = self.is_connected or self.is_closed or self._reconnection_task is not mine
            if is_over or (mine is not None and mine.cancelling()):
                return
            self._status = Client.RECONNECTING
            await asyncio.sleep(self.options["reconnect_time_wait"])

    def _connect_command(self) -> bytes:
        if self.options.get("tls") is not None and not self._server_info.get("tls_required"):
            raise NoTlsError
        return super()._connect_command()


class Link:
    """One NATS connection of one tenant's agent. `on_connected` is called after each connection."""

    def __init__(
        self,
        address: Address,
        tenant_id: UUID,
        *,
        name: str,
        metrics: Metrics,
        say: Say,
        on_connected: Callable[[], None],
    ) -> None:
        self.tenant_id = tenant_id
        self._address = address
        self._name = name
        self._metrics = metrics
        self._say = say
        self._on_connected = on_connected
        self._client: _Client | None = None
        self._js: JetStreamContext | None = None
        self._failure = ""
        self._is_leaving = False

    @property
    def is_connected(self) -> bool:
        """Whether the broker is connected now."""
        return self._client is not None and self._client.is_connected

    # start and stop

    async def open(self) -> None:
        """Connect, trying for ever. Errors that do not pass with time (a bad file) are raised."""
        options = self._options()
        while True:
            try:
                client = _Client()
                await client.connect(**options)
                self._client = client
            except (OSError, nats.errors.Error, TimeoutError) as error:
                self._tell_failure(error)
                await asyncio.sleep(_PAUSE)
            else:
                break
        self._js = self._client.jetstream()
        self._say(f"connected to {self._client.connected_url.netloc.rpartition('@')[2]}")  # type: ignore[union-attr] # it is connected
        self._on_connected()

    async def close(self) -> None:
        """Send what is still unsent, then close."""
        self._is_leaving = True
        if self._client is not None and not self._client.is_closed:
            try:
                async with asyncio.timeout(5):
                    await self._client.drain()
            except (nats.errors.Error, TimeoutError, OSError):
                await self._client.close()

    def _options(self) -> dict[str, Any]:
        async def failed(error: Exception) -> None:
            self._tell_failure(error)

        async def lost() -> None:
            if not (self._is_leaving or self._is_showing_key_again):
                self._say("lost the connection; the runs go on, and so do attempts to reconnect")

        async def found() -> None:
            self._metrics.count("reconnects")
            if self._failure or not self._is_showing_key_again:
                self._say("connected again")
            self._failure = ""
            if self._client is not None:
                self._client.is_showing_key_again = False
            self._on_connected()

        options: dict[str, Any] = {
            "servers": self._address.servers,
            "name": f"headwater-agent {self._name}",
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": 1,
            "connect_timeout": 5,
            "ping_interval": 10,
            "max_outstanding_pings": 2,
            "inbox_prefix": wire.inbox_prefix(self.tenant_id),
            "error_cb": failed,
            "disconnected_cb": lost,
            "reconnected_cb": found,
        }
        if (path := self._address.credentials) is not None:
            options["user_jwt_cb"] = lambda: credentials.read(path).jwt
            options["signature_cb"] = lambda nonce: credentials.read(path).sign(nonce)
        if self._address.api_key is not None:
            options["token"] = self._address.api_key
        if self._address.user is not None:
            options["user"], options["password"] = self._address.user, self._address.password
        if self._address.wants_tls:
            options["tls"] = trust(self._address.tls_ca)
        return options

    @property
    def _is_showing_key_again(self) -> bool:
        return self._client is not None and self._client.is_showing_key_again

    def _tell_failure(self, error: Exception) -> None:
        failure = explained(error, self._address)
        if failure != self._failure:
            self._failure = failure
            self._say(f"NATS: {failure}")

    # requests and messages

    async def ask(self, verb: str, request: wire.Message, reply: type[Rep]) -> Rep | wire.Refused:
        """One request and its answer. Raises UnreachableError."""
        if self._client is None:
            raise UnreachableError("not connected yet")
        subject = wire.rpc_subject(self.tenant_id, verb)
        try:
            message = await self._client.request(
                subject, request.model_dump_json().encode(), timeout=_ANSWER_WITHIN
            )
            return read_answer(message.data, reply)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error

    async def post(self, verb: str, request: wire.Message, *, reply: str) -> None:
        """A request whose answer comes to an inbox later. Raises UnreachableError."""
        await self._publish(
            wire.rpc_subject(self.tenant_id, verb), request.model_dump_json().encode(), reply=reply
        )

    async def acknowledge(self, message: Msg) -> None:
        """Confirm to the ledger that its answer has arrived."""
        if message.reply:
            await self._publish(message.reply, b"", reply="")

    async def _publish(self, subject: str, body: bytes, *, reply: str) -> None:
        if self._client is None:
            raise UnreachableError("not connected yet")
        try:
            await self._client.publish(subject, body, reply=reply)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error

    async def inbox(self, callback: Callback) -> str:
        """A subject of this connection's own; its messages go to the callback."""
        inbox = self._connected().new_inbox()
        await self._connected().subscribe(inbox, cb=callback)
        return inbox

    async def hear(self, subject: str, callback: Callback) -> None:
        """Subscribe to a signal, which may be lost; the subscription survives reconnections."""
        await self._connected().subscribe(subject, cb=callback)

    async def tell(self, subject: str) -> None:
        """A message without a body that may get lost. Raises UnreachableError without a connection."""
        if not self.is_connected:
            raise UnreachableError("not connected")
        await self._publish(subject, b"", reply="")

    async def store(self, subject: str, body: bytes, *, stream: str) -> None:
        """Publish, and wait until the broker has it. Raises UnreachableError; the caller repeats it."""
        if self._js is None or not self.is_connected:
            raise UnreachableError("not connected")
        try:
            await self._js.publish(subject, body, stream=stream, timeout=_STORED_WITHIN)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error

    def _connected(self) -> Client:
        if self._client is None:
            raise UnreachableError("not connected yet")
        return self._client


def read_answer(body: bytes, reply: type[Rep]) -> Rep | wire.Refused:
    """An answer, or the refusal. UnreachableError for one that cannot be parsed."""
    try:
        answer: Rep | wire.Refused = _adapter(reply).validate_json(body)
    except ValidationError as error:
        msg = f"an answer that cannot be read: {error.errors()[0]['msg']}"
        raise UnreachableError(msg) from error
    return answer


def trust(ca: Path | None) -> ssl.SSLContext:
    """Trust this authority, or without one those of the machine. SSLError for an invalid file."""
    return ssl.create_default_context(cafile=None if ca is None else str(ca))


def explained(error: Exception, address: Address) -> str:
    """The error of the connection and, if the agent's user can correct it, how."""
    said = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        what = f"the certificate of {address.hosts} is not to be trusted ({error.verify_message})"
        if "mismatch" in error.verify_message:
            return f"{what}; name the server in --nats as its certificate does"
        return f"{what}; name the file of the authority that signed it with --tls-ca"
    if isinstance(error, NoTlsError):
        return (
            f"{address.hosts} does not speak TLS, so nothing was shown to it; "
            "go without --tls-ca and tls://, or have it speak TLS"
        )
    if "authorization violation" in said.lower():
        return f"{address.hosts} turned the log-in down: {_turned_down(address)}"
    return said


def _turned_down(address: Address) -> str:
    if address.credentials is not None:
        return f"the credentials in {address.credentials} do not hold; get new ones into that file"
    if address.user is not None:
        return "it does not know this user with this password"
    if address.api_key is None:
        return "it wants an API key (PREFECT__CLOUD__API_KEY or --api-key) or --creds"
    return (
        "the API key is revoked, expired or read-only, or no gateway is up to check it; "
        "with a key that no longer holds, start the agent anew with another (create_api_key)"
    )


@cache
def _adapter(reply: type[wire.Message]) -> TypeAdapter[Any]:
    """Made once per kind of answer: making one costs more than reading a thousand answers."""
    return TypeAdapter(reply | wire.Refused)  # type: ignore[arg-type] # a union made at run time
