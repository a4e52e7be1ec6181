"""The address of NATS, and the agent's log-in."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

SCHEMES = ("nats", "tls", "ws", "wss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The nodes of NATS, one or several with commas between, and the log-in that is used for each.

    The log-in is not a part of the nodes: a client gets further nodes from the server, and would connect to them
    without it.
    """

    url: str
    credentials: Path | None = None
    tls_ca: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    """Used when neither a user nor credentials are given: Headwater admits the agents of the key's tenant."""

    @property
    def servers(self) -> list[str]:
        """Each node by itself, as nats-py takes them."""
        return self.url.split(",")

    @property
    def hosts(self) -> str:
        """For log lines: the nodes without the scheme."""
        return ", ".join(server.partition("://")[2] or server for server in self.servers)

    @property
    def wants_tls(self) -> bool:
        """Whether TLS is required."""
        return self.tls_ca is not None or self.url.startswith("tls://")


def address_of(url: str, *, credentials: Path | None = None, tls_ca: Path | None = None) -> Address:
    """`nats://user:password@host:port,host:port`, parsed. ValueError says what is wrong with it.

    A user without a password is a token, which is used like an API key.
    """
    pieces = list(_pieces(url))
    schemes = {scheme for scheme, _, _ in pieces if scheme} or {"nats"}
    logins = {login for _, login, _ in pieces if login}
    if len(schemes) != 1 or not schemes <= set(SCHEMES):
        msg = f"every node has the same scheme, one of {', '.join(SCHEMES)}"
        raise ValueError(msg)
    if len(logins) > 1:
        msg = "one log-in is shown to every node, and several are named"
        raise ValueError(msg)
    [scheme] = schemes
    user, colon, password = (logins.pop() if logins else "").partition(":")
    return Address(
        url=",".join(f"{scheme}://{host}" for _, _, host in pieces),
        credentials=credentials,
        tls_ca=tls_ca,
        user=unquote(user) if colon else None,
        password=unquote(password) if colon else None,
        api_key=unquote(user) if user and not colon else None,
    )


def _pieces(url: str) -> Iterator[tuple[str, str, str]]:
    """Scheme, log-in and host of each node."""
    for piece in (text.strip() for text in url.split(",")):
        try:
            parts = urlsplit(piece if "://" in piece else f"//{piece}")
            has_address = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            has_address = False
        if not has_address or parts.path.strip("/") or parts.query or parts.fragment:
            msg = (
                "it is not nats://user:password@host:port, with more nodes as ,host:port;"
                " write what is no letter, digit or -._~ of a password as %XX"
            )
            raise ValueError(msg)
        login, _, host = parts.netloc.rpartition("@")
        yield parts.scheme, login, host
