"""HTTP to addresses that users chose: the connection goes to an address that was checked, and to no other.

httpcore opens its connections through a network backend. Ours resolves the name, checks every address and connects to
one of the checked ones, so nothing is resolved a second time in between. TLS is verified by the name. One connection
per request: the next try is checked anew. Redirects are not followed, since httpcore knows none.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpcore

from services.automations.delivery.resolver import AddressRefusedError, Resolve, UnknownHostError

ANSWER_BYTES = 64 * 1024
"""What is read of an answer; the receiver may send more, and is not waited for."""


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._resolve(host, port):
            try:
                return await self._inner.connect_tcp(
                    str(address),
                    port,
                    timeout=timeout,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An answer: header names in lower case, the first 64 KiB of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpFailedError(Exception):
    """There was no answer; the text is a sentence without the address's path. `for_good`: it may not be called."""

    def __init__(self, sentence: str, *, for_good: bool = False) -> None:
        super().__init__(sentence)
        self.for_good = for_good


class HttpClient:
    """POSTs. `resolve` gives the checked addresses of a host, or raises."""

    def __init__(self, resolve: Resolve, *, tls: ssl.SSLContext) -> None:
        self._network = _CheckedNetwork(resolve)
        self._tls = tls

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, within: float
    ) -> HttpAnswer:
        """Send, and read the answer, all `within` seconds. HttpFailedError when there is none."""
        host = httpcore.URL(url).host.decode()
        try:
            async with asyncio.timeout(within):
                return await self._post(url, headers, body, within)
        except AddressRefusedError as error:
            raise HttpFailedError(str(error), for_good=True) from None
        except UnknownHostError as error:
            raise HttpFailedError(str(error)) from None
        except (TimeoutError, httpcore.TimeoutException):
            msg = f"{host} did not answer within {within:g} s"
            raise HttpFailedError(msg) from None
        except ssl.SSLError as error:
            msg = f"TLS with {host} failed: {error.reason or 'unknown reason'}"
            raise HttpFailedError(msg) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            msg = f"no answer from {host}: {_reason(error)}"
            raise HttpFailedError(msg) from None

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes, within: float
    ) -> HttpAnswer:
        connection = httpcore.AsyncHTTPConnection(
            origin=httpcore.URL(url).origin, ssl_context=self._tls, network_backend=self._network
        )
        sent = {**headers, "accept-encoding": "identity", "connection": "close"}
        each = {"connect": within, "read": within, "write": within, "pool": within}
        try:
            async with connection.stream(
                "POST",
                url,
                headers=[(name.encode(), value.encode()) for name, value in sent.items()],
                content=body,
                extensions={"timeout": each},
            ) as response:
                kept = bytearray()
                async for chunk in response.aiter_stream():
                    kept += chunk
                    if len(kept) >= ANSWER_BYTES:
                        break
                return HttpAnswer(
                    status=response.status,
                    headers={
                        name.decode("latin-1").lower(): value.decode("latin-1")
                        for name, value in response.headers
                    },
                    body=bytes(kept[:ANSWER_BYTES]),
                )
        finally:
            await connection.aclose()


def _reason(error: BaseException) -> str:
    """The kind of a failure. Its text may name the request."""
    cause = error.__cause__ or error.__context__ or error
    number = getattr(cause, "errno", None)
    named = {
        111: "connection refused",
        104: "connection closed",
        113: "no route to it",
        101: "network unreachable",
    }
    return named.get(number or 0, type(error).__name__)
