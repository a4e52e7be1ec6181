"""Names to addresses, each of which is checked before anything connects to it (`domain.addresses`)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import psutil

from services.automations.domain.addresses import Address, Network, literal_of, refused

_THREADS = 32
"""Look-ups at the same time. One of a name server that hangs occupies a thread until the system gives up."""
_PATIENCE = 5.0  # seconds
_MOST = 16
"""Addresses of one name; the rest are not looked at, and not called."""

LookUp = Callable[[str, int], Collection[str]]


class AddressRefusedError(OSError):
    """A host has an address that may not be called; the text is a sentence for the person who gave it."""


class UnknownHostError(OSError):
    """A host has no address now."""


class Resolver:
    """Resolves in threads of its own: the system's look-ups block, and a hanging one must delay no other host."""

    def __init__(self, allowed: Collection[Network], *, names: LookUp | None = None) -> None:
        self._allowed = allowed
        self._names = names or _system
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="delivery-names")
        self._under_way: dict[tuple[str, int], asyncio.Future[Collection[str]]] = {}

    def close(self) -> None:
        """Wait for no look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses to connect to. AddressRefusedError when any of them may not be called.

        One that may not be called refuses all: an attacker's name server gives a public and a private one, and
        clients would take the other after the first.
        """
        found = await self.look_up(host, port)
        wrong = refused(found, allowed=self._allowed, own=_own_addresses())
        if wrong:
            msg = (
                f"{host} is {wrong[0]}, which is not a public address; the operator may allow it with"
                " HEADWATER_DELIVERY_ALLOWED_NETWORKS"
            )
            raise AddressRefusedError(msg)
        return found

    async def look_up(self, host: str, port: int) -> list[Address]:
        """The addresses of a host, unchecked: for hosts that the operator chose. UnknownHostError when it has none."""
        literal = literal_of(host)
        if literal is not None:
            return [literal]
        found = await self._found(host, port)
        if not found:
            msg = f"{host} has no address"
            raise UnknownHostError(msg)
        return found

    async def _found(self, host: str, port: int) -> list[Address]:
        key = (host, port)
        # A name that hangs occupies one thread, however many deliveries wait for it.
        under_way = self._under_way.get(key)
        if under_way is None:
            loop = asyncio.get_running_loop()
            under_way = loop.run_in_executor(self._threads, self._names, host, port)
            self._under_way[key] = under_way
            under_way.add_done_callback(lambda done: self._forget(key, done))
        try:
            async with asyncio.timeout(_PATIENCE):
                texts = await asyncio.shield(under_way)
        except TimeoutError:
            msg = f"the name {host} could not be looked up within {_PATIENCE:g} s"
            raise UnknownHostError(msg) from None
        except (OSError, UnicodeError):
            msg = f"the name {host} cannot be resolved"
            raise UnknownHostError(msg) from None
        return [ip_address(text) for text in list(dict.fromkeys(texts))[:_MOST]]

    def _forget(self, key: tuple[str, int], done: "asyncio.Future[Collection[str]]") -> None:
        self._under_way.pop(key, None)
        if not done.cancelled():
            done.exception()  # looked at, so that asyncio does not log it when nobody waits any more


def _system(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _own_addresses() -> set[Address]:
    """This machine's addresses, also public ones: nobody may make us call ourselves."""
    return {
        ip_address(address.address.split("%", 1)[0])
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    }


Resolve = Callable[[str, int], Awaitable[list[Address]]]
