"""headwater-agent where NATS speaks TLS and wants a log-in: with an API key, and with a credentials file."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.provision import provision
from libs.contracts.agent_access import access_of
from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from services.runs.app import build
from services.runs.settings import RunsSettings
from tests.support.agent_process import AgentProcess, agent_process, does, waits_for
from tests.support.certificates import Certificates, certificates_for
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, register_flow, tenant_with_flow
from tests.support.nats_accounts import AccountNats, Holder, account_nats
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.secured import Secured, secured


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A Headwater whose NATS lets in nobody in clear and nobody without a key."""

    secured: Secured
    client: Client
    flow: Flow
    ca: Path

    @property
    def nats_url(self) -> str:
        """Where NATS is, without a user."""
        return f"tls://127.0.0.1:{self.secured.server.port}"

    def options(self, key: str, *, ca: Path | None = None) -> list[str]:
        """What the agent is told besides the place of NATS."""
        return [
            *("--api", self.secured.api.url, "--api-key", key, "--name", str(new_id())),
            *("--tls-ca", str(ca or self.ca)),
        ]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates_for("127.0.0.1", tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
async def place(stack: Stack, certificates: Certificates) -> AsyncIterator[Place]:
    async with secured(stack, tls=certificates) as found:
        bus = Bus(found.server.url("gateway"), service="gateway", tls_ca=str(certificates.ca))
        await bus.start()
        yield Place(
            secured=found,
            client=Client(bus, found.tenant_id),
            flow=await register_flow(stack.admin_pool, tenant_id=found.tenant_id),
            ca=certificates.ca,
        )
        await bus.stop()


async def runs_one(stack: Stack, agent: AgentProcess, client: Client, flow: Flow) -> None:
    """A run from its creation to Success; what it prints is kept."""
    go = agent.folder / "go"
    run_id = await client.create(flow, run_config=does(f"echo printed; {waits_for(go)}"))
    await agent.has_started(run_id)
    assert isinstance(await client.set(run_id, "Running"), StateApplied)
    await client.set(run_id, "Success")
    go.touch()
    await agent.has_said("is Success")

    async def is_kept() -> bool:
        found = await stack.admin_pool.fetch(
            "SELECT message FROM runs.log WHERE flow_run_id = $1 AND name = 'stdout'", run_id
        )
        assert [row["message"] for row in found] == ["printed"]
        return True

    await eventually(is_kept, timeout=20)


async def test_a_run_over_tls_with_an_api_key(stack: Stack, place: Place, tmp_path: Path) -> None:
    _, key = await place.secured.key()
    port = free_port()
    options = [*place.options(key), "--metrics-port", str(port)]

    async def has_shown_its_key_again() -> bool:
        async with httpx.AsyncClient() as http:
            found = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
        return re.search(r"^headwater_agent_reconnects_total [1-9]", found, re.M) is not None

    async with agent_process(tmp_path, place.nats_url, None, *options) as agent:
        await eventually(has_shown_its_key_again, timeout=60)
        await runs_one(stack, agent, place.client, place.flow)

    assert "lost the connection" not in agent.said(), "a log-in that runs out is no news"


async def test_an_agent_with_a_key_is_told_by_the_api_where_nats_is(
    stack: Stack, place: Place, tmp_path: Path
) -> None:
    _, key = await place.secured.key()
    async with agent_process(tmp_path, None, None, *place.options(key)) as agent:
        await runs_one(stack, agent, place.client, place.flow)


@pytest.mark.parametrize("role", ["read_only", None])
async def test_an_agent_that_may_not_serve_runs_is_told_what_it_lacks(
    place: Place, tmp_path: Path, role: str | None
) -> None:
    key = "hw_guess" if role is None else (await place.secured.key(role))[1]
    options = place.options(key)

    async with agent_process(tmp_path, None, None, *options, gets_ready=False) as agent:
        code = await agent.gone()

    assert code == 1
    assert "Give a key that may serve runs (PREFECT__CLOUD__API_KEY), or name NATS" in agent.said()
    assert str(place.secured.server.port) not in agent.said()


async def test_an_agent_whose_key_is_revoked_says_what_to_do(place: Place, tmp_path: Path) -> None:
    key_id, key = await place.secured.key()
    async with agent_process(tmp_path, place.nats_url, None, *place.options(key)) as agent:
        await place.secured.revoke(key_id)

        await agent.has_said("turned the log-in down: the API key is revoked, expired or read-only")
        assert agent.running.returncode is None, "its runs would be nobody's"


async def test_an_agent_with_a_revoked_key_does_not_start(place: Place, tmp_path: Path) -> None:
    key_id, key = await place.secured.key()
    await place.secured.revoke(key_id)

    async with agent_process(
        tmp_path, place.nats_url, None, *place.options(key), gets_ready=False
    ) as agent:
        code = await agent.gone()

    assert code == 1
    assert "the API key is unknown, revoked or expired" in agent.said()
    assert "Traceback" not in agent.said()


async def test_a_server_that_another_authority_certified_is_shown_nothing(
    place: Place, tmp_path: Path
) -> None:
    _, key = await place.secured.key()
    strangers = certificates_for("127.0.0.1", tmp_path)

    async with agent_process(
        tmp_path, place.nats_url, None, *place.options(key, ca=strangers.ca), gets_ready=False
    ) as agent:
        await agent.has_said("is not to be trusted")

    assert "name the file of the authority that signed it with --tls-ca" in agent.said()


async def test_a_server_by_another_name_than_its_certificates_is_shown_nothing(
    place: Place, tmp_path: Path
) -> None:
    _, key = await place.secured.key()
    url = place.nats_url.replace("127.0.0.1", "localhost")

    async with agent_process(tmp_path, url, None, *place.options(key), gets_ready=False) as agent:
        await agent.has_said("name the server in --nats as its certificate does")


async def test_a_server_that_speaks_in_clear_is_shown_no_key(
    stack: Stack, place: Place, tmp_path: Path
) -> None:
    _, key = await place.secured.key()

    async with agent_process(
        tmp_path, stack.nats_url, None, *place.options(key), gets_ready=False
    ) as agent:
        await agent.has_said("does not speak TLS, so nothing was shown to it")


async def test_the_option_is_named_where_the_machine_does_not_know_the_authority(
    place: Place, tmp_path: Path
) -> None:
    # A server that speaks TLS is spoken TLS with, whatever the URL says.
    for scheme in ("tls", "nats"):
        url = place.nats_url.replace("tls://", f"{scheme}://")
        async with agent_process(tmp_path / scheme, url, new_id(), gets_ready=False) as agent:
            await agent.has_said("signed it with --tls-ca")


@pytest.mark.parametrize("option", ["--creds", "--tls-ca"])
async def test_a_file_that_is_not_what_it_should_be_is_named(tmp_path: Path, option: str) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("nothing of that kind")

    async with agent_process(
        tmp_path / "agent", "nats://127.0.0.1:1", new_id(), option, str(wrong), gets_ready=False
    ) as agent:
        code = await agent.gone()

    assert code == 1
    assert str(wrong) in agent.said()
    assert "Traceback" not in agent.said()


@pytest.fixture(scope="module")
async def accounts(certificates: Certificates) -> AsyncIterator[AccountNats]:
    async with account_nats(certificates) as server:
        await provision(server.url, tls_ca=str(certificates.ca))
        yield server


async def test_a_run_over_tls_with_a_credentials_file(
    stack: Stack, accounts: AccountNats, certificates: Certificates, tmp_path: Path
) -> None:
    ca = str(certificates.ca)
    flow = await tenant_with_flow(stack.admin_pool)
    creds = accounts.write_credentials(tmp_path / "agent.creds", access_of(flow.tenant_id))
    runs = build(
        RunsSettings(postgres_url=stack.postgres_url("runs"), nats_url=accounts.url, nats_tls_ca=ca)
    )
    bus = Bus(accounts.url, service="test", tls_ca=ca)
    options = ("--creds", str(creds), "--tls-ca", ca)

    async with running(runs):
        await bus.start()
        async with agent_process(
            tmp_path / "agent", accounts.url, flow.tenant_id, *options
        ) as agent:
            await runs_one(stack, agent, Client(bus, flow.tenant_id), flow)
        await bus.stop()


async def test_credentials_that_do_not_hold_are_named(
    accounts: AccountNats, certificates: Certificates, tmp_path: Path
) -> None:
    stranger = AccountNats(port=accounts.port, account=Holder(kind="account"))
    creds = stranger.write_credentials(tmp_path / "stranger.creds", access_of(new_id()))
    options = ("--creds", str(creds), "--tls-ca", str(certificates.ca))

    async with agent_process(
        tmp_path / "agent", accounts.url, new_id(), *options, gets_ready=False
    ) as agent:
        await agent.has_said(f"the credentials in {creds} do not hold")
