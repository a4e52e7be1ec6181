"""The address of NATS and the log-in: the setting HEADWATER_NATS_URL, parsed.

`nats://user:password@host:port`, or with every node of a cluster `nats://user:password@host:port,host:port,host:port`.
The log-in stands before the first node and is used for each. As a part of the addresses it would be lost: a client gets
further nodes from the server, without a log-in, and they would refuse it.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

_SCHEMES = ("nats", "tls", "ws", "wss")
_FORM = "nats://user:password@host:port, with more nodes as ,host:port"


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsAddress:
    """The nodes, without anything secret, and the log-in. A user without a password is a token."""

    servers: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def hosts(self) -> str:
        """For log lines: the nodes without scheme and log-in."""
        return ", ".join(server.partition("://")[2] for server in self.servers)

    def options(self) -> dict[str, Any]:
        """What nats-py's `connect` takes."""
        options: dict[str, Any] = {"servers": list(self.servers)}
        if self.user is not None and self.password is not None:
            options |= {"user": self.user, "password": self.password}
        elif self.user is not None:
            options["token"] = self.user
        return options


def nats_address(url: str) -> NatsAddress:
    """The parsed setting. ValueError says what is wrong, and shows nothing of the log-in."""
    pieces = [_split(piece.strip()) for piece in url.split(",")]
    first = pieces[0]
    scheme = first.scheme or "nats"
    if any((piece.scheme or scheme) != scheme for piece in pieces) or scheme not in _SCHEMES:
        msg = f"every node has the same scheme, one of {', '.join(_SCHEMES)}: {_FORM}"
        raise ValueError(msg)
    user, password = _login(first)
    # Some write the log-in before each node; there is one account, so the first is used.
    if any(_login(piece) not in {(user, password), (user, None), (None, None)} for piece in pieces):
        msg = f"one log-in is shown to every node, and two are named: {_FORM}"
        raise ValueError(msg)
    return NatsAddress(
        servers=tuple(f"{scheme}://{piece.netloc.rpartition('@')[2]}" for piece in pieces),
        user=user,
        password=password,
    )


def _split(piece: str) -> SplitResult:
    try:
        parts = urlsplit(piece if "://" in piece else f"//{piece}")
        is_place = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_place = False
    if not is_place or parts.path.strip("/") or parts.query or parts.fragment:
        msg = f"is not {_FORM}; write what is no letter, digit or -._~ of a password as %XX"
        raise ValueError(msg) from None
    return parts


def _login(parts: SplitResult) -> tuple[str | None, str | None]:
    user, password = parts.username or None, parts.password
    return (
        unquote(user) if user is not None else None,
        unquote(password) if password is not None else None,
    )
