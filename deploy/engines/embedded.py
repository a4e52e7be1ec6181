"""Both engines on one data folder."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlencode

from deploy.engines import nats, postgres
from deploy.engines.account import Account
from deploy.engines.folder import DataFolder
from deploy.engines.programs import nats_server_binary, postgres_binaries
from deploy.engines.supervisor import Supervisor

DATABASE = "headwater"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The durability of the engines' data."""

    durable: bool


DURABLE = Profile(durable=True)
FOR_TESTS = Profile(durable=False)
"""No fsync: many times faster, but lost in a power failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The addresses of the engines, and the owner's log-in."""

    postgres_host: str
    postgres_port: int
    postgres_password: str
    postgres_socket: Path | None
    """The folder of its Unix socket; None where the path is too long for one."""
    nats_port: int
    nats_password: str

    @property
    def nats_url(self) -> str:
        """For the one user of a nats-server that was given no other ones."""
        return self.nats_url_of(nats.USER, self.nats_password)

    def nats_url_of(self, user: str, password: str) -> str:
        """A URL for this user of nats-server."""
        return f"nats://{user}:{quote(password, safe='')}@127.0.0.1:{self.nats_port}"

    def postgres_url(
        self,
        *,
        user: str = postgres.SUPERUSER,
        password: str | None = None,
        database: str = DATABASE,
    ) -> str:
        """A URL for this role; the superuser's password is known."""
        secret = quote(self.postgres_password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@{self.postgres_host}:{self.postgres_port}/{database}"

    def postgres_socket_url(self) -> str:
        """As `postgres_url`, over the Unix socket where there is one: a round trip costs half the CPU of TCP's."""
        if self.postgres_socket is None:
            return self.postgres_url()
        socket = urlencode({"host": self.postgres_socket, "port": self.postgres_port})
        secret = quote(self.postgres_password, safe="")
        return f"postgresql://{postgres.SUPERUSER}:{secret}@/{DATABASE}?{socket}"


class EmbeddedEngines:
    """PostgreSQL and nats-server, started together, kept alive, stopped in order.

    `folder` must be claimed by the caller, who may start them only once at a time. `nats_authorization` is the part of
    nats-server's configuration that says who may log in; without it there is one user, who may do everything.
    """

    def __init__(
        self,
        folder: DataFolder,
        profile: Profile = DURABLE,
        *,
        nats_authorization: str | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.home, self.account = folder.engines_home()
        self._tell_where(tell)
        program = self._postgres(profile)
        self._postgres_socket = program.socket_folder
        self.postgres = Supervisor(program, folder)
        self.nats = Supervisor(
            nats_program(self.home, self.account, folder, authorization=nats_authorization), folder
        )

    async def start(self) -> Endpoints:
        """Start both at the same time; if one cannot, neither is left running."""
        outcomes = await asyncio.gather(
            self.postgres.start(), self.nats.start(), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            await self.stop()
            raise failures[0]
        return self.endpoints

    async def stop(self) -> None:
        """Stop the bus, then the database: messages that still arrive over the bus need the database."""
        await self.nats.stop()
        await self.postgres.stop()

    @property
    def endpoints(self) -> Endpoints:
        """Their addresses; the ports do not change while they run."""
        return Endpoints(
            postgres_host="127.0.0.1",
            postgres_port=self.postgres.port,
            postgres_password=self.folder.secret("postgres"),
            postgres_socket=self._postgres_socket,
            nats_port=self.nats.port,
            nats_password=self.folder.secret("nats"),
        )

    async def __aenter__(self) -> "EmbeddedEngines":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _tell_where(self, tell: Callable[[str], None]) -> None:
        if self.account is not None:
            tell(f"Running as root, so the engines run as an account {self.account.name}.")
        if not self.home.is_relative_to(self.folder.path):
            tell(f"That account cannot reach {self.folder.path}, so the data is in {self.home}.")

    def _postgres(self, profile: Profile) -> postgres.Postgres:
        return postgres.Postgres(
            binaries=postgres_binaries(self.account),
            store=self.home / "postgres",
            account=self.account,
            password=self.folder.secret("postgres"),
            durable=profile.durable,
            log=self.folder.log("postgres"),
        )


def nats_program(
    home: Path, account: Account | None, folder: DataFolder, *, authorization: str | None = None
) -> nats.Nats:
    """nats-server on the store in `home`; tests run several."""
    return nats.Nats(
        binary=nats_server_binary(account),
        store=home / "nats",
        account=account,
        authorization=authorization or nats.one_user(folder.secret("nats")),
    )
