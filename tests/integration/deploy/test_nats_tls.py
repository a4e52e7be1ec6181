"""The bus over TLS: with the authority's certificate it works, without it nothing is sent."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.engines import EngineError
from deploy.provision import provision
from libs.contracts import registry
from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.registry import CreateProject
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from services.registry.app import build
from services.registry.settings import RegistrySettings
from tests.support.certificates import Certificates, certificates_for
from tests.support.engines import Stack
from tests.support.guarded_nats import GuardedNats, guarded_nats
from tests.support.running import running

ONE_SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates_for("127.0.0.1", tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
async def server(certificates: Certificates) -> AsyncIterator[GuardedNats]:
    async with guarded_nats(tls=certificates) as found:
        await provision(found.url("provision"), tls_ca=str(certificates.ca))
        yield found


async def test_a_service_is_asked_over_tls(
    server: GuardedNats, certificates: Certificates, stack: Stack
) -> None:
    ca = str(certificates.ca)
    settings = RegistrySettings(
        postgres_url=stack.postgres_url("registry"), nats_url=server.url("registry"), nats_tls_ca=ca
    )
    caller = Bus(server.url("gateway"), service="gateway", tls_ca=ca)
    async with running(build(settings)):
        await caller.start()
        request = CreateProject(tenant_id=new_id(), name="over tls")
        reply = await caller.call(registry.CREATE_PROJECT, request)
        await caller.stop()

    # The registry's own answer: there is no such tenant.
    assert isinstance(reply, Refused)
    assert reply.code is Code.TENANT_NOT_FOUND


async def test_a_server_that_the_authority_did_not_certify_is_refused(
    server: GuardedNats, tmp_path: Path
) -> None:
    strangers = certificates_for("127.0.0.1", tmp_path)

    with pytest.raises(EngineError, match=r"^NATS at .* (refuses|does not answer)"):
        await provision(server.url("provision"), tls_ca=str(strangers.ca), wait=ONE_SECOND)


async def test_provisioning_without_the_authority_ends_in_a_sentence(server: GuardedNats) -> None:
    with pytest.raises(EngineError, match=r"^NATS at .* (refuses|does not answer)"):
        await provision(server.url("provision"), wait=ONE_SECOND)


async def test_a_ca_file_that_is_not_there_is_named(server: GuardedNats) -> None:
    with pytest.raises(EngineError, match=r"HEADWATER_NATS_TLS_CA: /none/ca.crt cannot be used"):
        await provision(server.url("provision"), tls_ca="/none/ca.crt")
