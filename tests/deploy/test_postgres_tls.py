"""PostgreSQL over TLS: verified in full, refused when its authority is another, and in clear not let in at all."""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import asyncpg
import pytest

from deploy.engines import EngineError
from deploy.migrate import migrate, role_url
from libs.contracts import registry
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.registry import CreateProject
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from services.registry.app import build
from services.registry.settings import RegistrySettings
from tests.offline import Docker
from tests.offline.stand_ins import provide_postgres_with_tls
from tests.support.certificates import Certificates, certificates_for
from tests.support.containers import tell
from tests.support.engines import PASSWORDS, make_folder, nats_for_tests
from tests.support.eventually import eventually
from tests.support.running import running

pytestmark = [pytest.mark.containers, pytest.mark.slow]

ONLY_TLS = "local all all trust\nhostssl all all all scram-sha-256\n"
POSTGRES_USER = 999  # in the public image and in the stand-in
NOT_LONG = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A PostgreSQL that lets nobody in without TLS."""

    place: str
    password: str
    ca: Path

    def url(self, **options: str) -> str:
        """Its owner's URL with these options."""
        return f"postgresql://headwater:{self.password}@{self.place}/headwater?{urlencode(options)}"

    @property
    def verified(self) -> str:
        """The URL that operators are told to use."""
        return self.url(sslmode="verify-full", sslrootcert=str(self.ca))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    found = make_folder()  # not pytest's, which the container's user may not enter
    yield found
    shutil.rmtree(found)


@pytest.fixture(scope="module")
async def server(docker: Docker, folder: Path) -> AsyncIterator[Server]:
    image = provide_postgres_with_tls(docker, tell)
    certificates = certificates_for("127.0.0.1", folder)
    (folder / "pg_hba.conf").write_text(ONLY_TLS)
    _belong_to_postgres(certificates, folder)
    password = secrets.token_hex(16)
    container = docker.run(
        *("run", "--detach", "--publish", "127.0.0.1::5432", "--volume", f"{folder}:/tls:ro"),
        *("--env", "POSTGRES_USER=headwater", "--env", f"POSTGRES_PASSWORD={password}", image),
        *("postgres", "-c", "ssl=on", "-c", "hba_file=/tls/pg_hba.conf"),
        *("-c", "ssl_cert_file=/tls/server.crt", "-c", "ssl_key_file=/tls/server.key"),
    ).strip()
    try:
        place = docker.run("port", container, "5432").strip()
        found = Server(place=place, password=password, ca=certificates.ca)

        async def answers() -> bool:
            connection = await asyncpg.connect(found.verified, timeout=5)
            await connection.close()
            return True

        await eventually(answers, timeout=60, pause=0.2)
        await migrate(found.verified, PASSWORDS)
        yield found
    finally:
        tell(docker.run("logs", "--tail", "20", container))
        docker.run("rm", "--force", "--volumes", container)


def _belong_to_postgres(certificates: Certificates, folder: Path) -> None:
    certificates.key.chmod(0o600)
    for path in (certificates.key, certificates.certificate, folder / "pg_hba.conf"):
        os.chown(path, POSTGRES_USER, POSTGRES_USER)


async def test_a_service_works_with_every_connection_encrypted(server: Server) -> None:
    async with nats_for_tests() as (nats_url, _):
        settings = RegistrySettings(
            postgres_url=role_url(server.verified, role="registry", password=PASSWORDS["registry"]),
            nats_url=nats_url,
        )
        caller = Bus(nats_url, service="gateway")
        async with running(build(settings)):
            await caller.start()
            request = CreateProject(tenant_id=new_id(), name="over tls")
            reply = await caller.call(registry.CREATE_PROJECT, request)
            connection = await asyncpg.connect(server.verified)
            clear = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
                " WHERE NOT s.ssl AND a.client_addr IS NOT NULL"
            )
            await connection.close()
            await caller.stop()

    # The registry's own answer: there is no such tenant.
    assert isinstance(reply, Refused)
    assert reply.code is Code.TENANT_NOT_FOUND
    assert clear == 0


async def test_a_server_that_another_authority_certified_is_refused(
    server: Server, tmp_path: Path
) -> None:
    other = certificates_for("127.0.0.1", tmp_path)
    url = server.url(sslmode="verify-full", sslrootcert=str(other.ca))

    with pytest.raises(EngineError, match="PostgreSQL at ") as refused:
        await migrate(url, PASSWORDS, wait=NOT_LONG)

    assert server.password not in str(refused.value)


async def test_a_server_by_another_name_than_its_certificates_is_refused(server: Server) -> None:
    url = server.verified.replace("@127.0.0.1:", "@localhost:")

    with pytest.raises(EngineError, match="PostgreSQL at "):
        await migrate(url, PASSWORDS, wait=NOT_LONG)


async def test_nobody_is_let_in_in_clear(server: Server) -> None:
    with pytest.raises(EngineError, match="PostgreSQL at ") as refused:
        await migrate(server.url(sslmode="disable"), PASSWORDS, wait=NOT_LONG)

    assert server.password not in str(refused.value)
