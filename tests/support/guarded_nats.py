"""A nats-server with the users and permissions of production, and a bare client that hears every refusal.

`guarded_nats` is configured as in containers; `embedded_nats` is the one of `deploy/local` with API keys on.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from deploy.engines import FOR_TESTS, EmbeddedEngines
from deploy.local.bus import GuardedBus
from deploy.nats_users import ISSUER_VARIABLE, User, configuration, users
from services.gateway.agent_login import Issuer
from tests.support.certificates import Certificates
from tests.support.engines import data_folder, make_folder
from tests.support.nats_process import nats_process
from tests.support.ports import free_port

_CONFIGURATION = """\
listen: "127.0.0.1:{port}"
max_payload: 33554432
jetstream {{ store_dir: {store} }}
include "./users.conf"
"""
ISSUER_SEED = bytes(range(32))
"""What the gateway signs agents' log-ins with."""
_TLS = "tls {{ cert_file: {certificate}, key_file: {key} }}\n"


def password_of(user: str) -> str:
    """A password that nats-server would take for a number, were it not quoted."""
    return f"1e5.secret-of-{user}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedNats:
    """A server with a user for each service, and what they log in with."""

    port: int
    log: Path
    users: dict[str, User]
    passwords: Mapping[str, str]
    issuer_seed: str = ISSUER_SEED.hex()
    """Of the key that the gateway signs agents' log-ins with."""

    def password(self, user: str) -> str:
        """A user's password."""
        return self.passwords[user]

    def url(self, user: str) -> str:
        """The URL of one of its users."""
        return f"nats://{user}:{self.password(user)}@127.0.0.1:{self.port}"

    def violations(self) -> list[str]:
        """What the server refused since it started."""
        return [line for line in self.log.read_text().splitlines() if "Violation" in line]

    async def answer_to_login(self, **options: str) -> str:
        """What the server says to somebody who logs in with these."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await reader.readline()
            writer.write(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
            async with asyncio.timeout(10):
                return (await reader.readline()).decode().strip()
        finally:
            writer.close()

    async def refused(self, user: str | dict[str, str], lines: Iterable[str]) -> list[str]:
        """Send protocol lines as this user, or with these options of CONNECT; the server's errors, in order."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await reader.readline()
            if isinstance(user, str):
                user = {"user": user, "pass": self.password(user)}
            options = user | {"verbose": False}
            text = [f"CONNECT {json.dumps(options)}", *lines, "PING", ""]
            writer.write("\r\n".join(text).encode())
            errors: list[str] = []
            async with asyncio.timeout(10):
                while (line := (await reader.readline()).decode().strip()) != "PONG":
                    assert line, f"the server closed the connection after {errors}"
                    if line.startswith("-ERR"):
                        errors.append(line)
            return errors
        finally:
            writer.close()

    async def may_publish(self, user: str | dict[str, str], subjects: Iterable[str]) -> set[str]:
        """Those of the subjects that this user may publish to."""
        tried = list(subjects)
        errors = "\n".join(await self.refused(user, (f"PUB {name} 0\r\n" for name in tried)))
        return {name for name in tried if f'Publish to "{name}"' not in errors}

    async def may_subscribe(self, user: str | dict[str, str], subjects: Iterable[str]) -> set[str]:
        """Those of the subjects that this user may subscribe to."""
        tried = list(subjects)
        lines = (f"SUB {name} {place}" for place, name in enumerate(tried))
        errors = "\n".join(await self.refused(user, lines))
        return {name for name in tried if f'Subscription to "{name}"' not in errors}


@asynccontextmanager
async def guarded_nats(
    tenants: Iterable[UUID] = (), *, with_operator: bool = False, tls: Certificates | None = None
) -> AsyncIterator[GuardedNats]:
    """A server with everybody's users, the agents of these tenants included; gone afterwards."""
    folder = make_folder()
    everybody = users(tenants, with_operator=with_operator)
    port = free_port()
    (folder / "users.conf").write_text(configuration(everybody))
    store = json.dumps(str(folder / "store"))
    text = _CONFIGURATION.format(port=port, store=store)
    if tls is not None:
        files = {"certificate": str(tls.certificate), "key": str(tls.key)}
        text += _TLS.format(**{name: json.dumps(path) for name, path in files.items()})
    passwords = {user.password_variable: json.dumps(password_of(user.name)) for user in everybody}
    variables = passwords | {ISSUER_VARIABLE: Issuer(ISSUER_SEED).public}
    async with nats_process(folder, port, text, variables=variables) as log:
        yield GuardedNats(
            port=port,
            log=log,
            users={user.name: user for user in everybody},
            passwords={user.name: password_of(user.name) for user in everybody},
        )


@asynccontextmanager
async def embedded_nats(
    tenants: Iterable[UUID] = (), *, with_operator: bool = False
) -> AsyncIterator[GuardedNats]:
    """The embedded server as it is with API keys on, and the users of a test besides; gone afterwards."""
    async with data_folder() as folder:
        bus = GuardedBus.of(folder, users(tenants, with_operator=with_operator))
        engines = EmbeddedEngines(folder, FOR_TESTS, nats_authorization=bus.authorization)
        await engines.nats.start()
        try:
            yield GuardedNats(
                port=engines.nats.port,
                log=folder.log("nats"),
                users={user.name: user for user in bus.users},
                passwords=bus.passwords,
                issuer_seed=bus.issuer_seed,
            )
        finally:
            await engines.nats.stop()
