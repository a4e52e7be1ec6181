"""Which addresses may be called: those of the public internet, and those that the operator allows.

Webhook addresses come from users. Without this rule they could make us call what only we can reach: the metadata of a
cloud machine, a database, ourselves. `ipaddress` alone does not know it: `is_private` passes 100.64.0.0/10 (carriers'
networks), 64:ff9b::/96 (NAT64) and 2002::/16 (6to4); `is_global` passes the last two, and multicast. So an address
that carries another one is judged by the one inside.
"""

from collections.abc import Collection, Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_IPV4_COMPATIBLE = IPv6Network("::/96")
_URL_CHARACTERS = 4096
_HOST_CHARACTERS = 253

# Not public, whatever a version of `ipaddress` says of them: metadata, carriers, benchmarks, documentation, discard.
_NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::1/128", "::/128", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7",
        "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip


class UrlError(ValueError):
    """The address of a receiver cannot be used; the text is a sentence that says why."""


def is_public(address: Address) -> bool:
    """Whether it belongs to the public internet, as does the address that it carries, if it does."""
    inner = _carried(address)
    if inner:
        return all(is_public(each) for each in inner)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def refused(
    addresses: Iterable[Address], *, allowed: Collection[Network], own: Collection[Address] = ()
) -> list[Address]:
    """Those of a host's addresses that may not be called. `own` are addresses of this machine."""
    return [address for address in addresses if not _may_be_called(address, allowed, own)]


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks in a text such as `10.1.0.0/16, 192.168.7.4`. ValueError names the part that is none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(ip_network(part) for part in parts)


def checked_url(url: str) -> SplitResult:
    """The parts of an address that can be called. UrlError otherwise.

    Only the form is judged here. Addresses are looked at each time when a connection is made, since names change.
    """
    if len(url) > _URL_CHARACTERS or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        msg = f"the address must be at most {_URL_CHARACTERS} characters, without spaces"
        raise UrlError(msg)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        msg = "the address is no valid URL"
        raise UrlError(msg) from None
    if parts.scheme not in ("http", "https") or not host or len(host) > _HOST_CHARACTERS:
        msg = "the address must begin with https:// or http:// and name a host"
        raise UrlError(msg)
    if parts.username is not None or parts.password is not None:
        msg = "the address must not contain a user or password; send credentials in a header"
        raise UrlError(msg)
    if port == 0:
        msg = "the port of the address must be 1 to 65535"
        raise UrlError(msg)
    return parts


def literal_of(host: str) -> Address | None:
    """The address that a host is written as; None for a name, also for odd spellings that resolve to one."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _may_be_called(
    address: Address, allowed: Collection[Network], own: Collection[Address]
) -> bool:
    candidates = {address, *_carried(address)}
    if all(_is_in(each, allowed) for each in _carried(address) or (address,)):
        return True
    return is_public(address) and not candidates & set(own)


def _is_in(address: Address, networks: Collection[Network]) -> bool:
    plain = ip_address(int(address)) if address.version == 4 else IPv6Address(int(address))
    return any(plain in network for network in networks if network.version == plain.version)


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for or goes through."""
    if not isinstance(address, IPv6Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or address in _NAT64_LOCAL:
        return (low,)
    if address in _IPV4_COMPATIBLE and int(address) > 1:
        return (low,)
    return ()
