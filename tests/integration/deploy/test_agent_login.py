"""Agents log in to NATS with an API key: confined to the key's tenant at once, and out when the key is revoked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from deploy.provision import provision
from libs.agent.link import Address, Link
from libs.agent.metrics import Metrics
from libs.agent.say import Say
from libs.contracts.subjects import agent_inbox
from libs.runtime.ids import new_id
from services.gateway.keys import Key, Role, fingerprint
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.guarded_nats import ISSUER_SEED, GuardedNats, guarded_nats
from tests.support.services import all_services

ADMIN = "hw_first-key-for-tests"
LIFETIME = timedelta(seconds=2)
X = new_id()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A guarded server, the tenant whose key is `ADMIN`, and the API as its holder sees it."""

    server: GuardedNats
    tenant_id: UUID
    api: Gql

    async def key(self, role: str) -> tuple[str, str]:
        """A new key: its id and text."""
        made = await self.api(
            "mutation($i: create_api_key_input!) { create_api_key(input: $i) { id key } }",
            i={"name": role, "role": role},
        )
        return made["create_api_key"]["id"], made["create_api_key"]["key"]

    async def answer_to(self, **options: str) -> str:
        """What the server says to somebody who logs in with these."""
        return await self.server.answer_to_login(**options)


@pytest.fixture(scope="module")
async def place(stack: Stack) -> AsyncIterator[Place]:
    async with AsyncExitStack() as exits:
        server = await exits.enter_async_context(guarded_nats())
        await provision(server.url("provision"))
        gateway = await exits.enter_async_context(
            all_services(
                stack,
                nats_url=server.url,
                auth="required",
                bootstrap_key=ADMIN,
                nats_issuer_seed=ISSUER_SEED.hex(),
                nats_login_lifetime=LIFETIME,
            )
        )
        api = Gql(f"http://127.0.0.1:{gateway.port}", headers={"authorization": f"Bearer {ADMIN}"})
        await exits.enter_async_context(api)
        tenant = (await api("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]
        yield Place(server=server, tenant_id=UUID(tenant), api=api)


@pytest.mark.parametrize("role", ["agent", "user", "tenant_admin"])
async def test_a_key_that_may_serve_runs_logs_in(place: Place, role: str) -> None:
    _, key = await place.key(role)

    assert await place.answer_to(auth_token=key) == "+OK"
    assert await place.answer_to(user="anything", **{"pass": key}) == "+OK"


async def test_any_other_key_is_turned_away(place: Place) -> None:
    _, read_only = await place.key("read_only")
    revoked_id, revoked = await place.key("agent")
    await place.api(
        f'mutation {{ delete_api_key(input: {{key_id: "{revoked_id}"}}) {{ success }} }}'
    )

    answers = {
        await place.answer_to(**options)
        for options in (
            {},
            {"auth_token": "hw_guess"},
            {"auth_token": read_only},
            {"auth_token": revoked},
            {"user": "gateway", "pass": read_only},
            {"user": "gateway"},
        )
    }

    assert answers == {"-ERR 'Authorization Violation'"}


async def test_an_agent_is_confined_to_the_tenant_of_its_key(place: Place) -> None:
    _, key = await place.key("agent")
    own, other = place.tenant_id, new_id()
    allowed = [f"hw.rpc.agents.{own}.{verb}" for verb in ("hello", "claim", "renew", "report")]
    allowed += [f"hw.log.{own}.{X}", f"hw.beat.{own}.{X}"]
    heard = [f"hw.sig.agent.{own}.work_ready", f"{agent_inbox(own)}.>"]
    forbidden = [subject.replace(str(own), str(other)) for subject in (*allowed, *heard)]
    forbidden += [f"hw.rpc.runs.{X}", "hw.evt.flow.archived.x", "$SYS.REQ.USER.AUTH"]
    wider = [">", "hw.>", "hw.log.*.*", "$SYS.>", "$SYS.REQ.USER.AUTH", "_INBOX.>"]

    with_key = {"auth_token": key}
    assert await place.server.may_publish(with_key, [*allowed, *forbidden]) == set(allowed)
    assert await place.server.may_subscribe(with_key, [*heard, *forbidden, *wider]) == set(heard)


async def test_an_agent_shows_its_key_again_when_its_log_in_runs_out(place: Place) -> None:
    _, key = await place.key("agent")
    connections = asyncio.Semaphore(0)
    link = Link(
        Address(url=f"nats://127.0.0.1:{place.server.port}", api_key=key),
        place.tenant_id,
        name="agent",
        metrics=Metrics(),
        say=Say(as_json=False),
        on_connected=connections.release,
    )

    await link.open()
    async with asyncio.timeout(20):
        for _ in range(3):  # the first, and two that follow
            await connections.acquire()
    is_connected = link.is_connected
    await link.close()

    assert is_connected


async def test_a_connected_agent_is_out_when_its_key_is_revoked(place: Place) -> None:
    key_id, key = await place.key("agent")
    reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
    writer.write(f'CONNECT {{"auth_token": "{key}", "verbose": false}}\r\nPING\r\n'.encode())
    async with asyncio.timeout(LIFETIME.total_seconds() + 10):
        while await reader.readline() != b"PONG\r\n":
            pass
        await place.api(
            f'mutation {{ delete_api_key(input: {{key_id: "{key_id}"}}) {{ success }} }}'
        )

        last_words = (await reader.read()).decode()  # to the end: the server closes
    writer.close()

    assert "User Authentication Expired" in last_words
    assert await place.answer_to(auth_token=key) == "-ERR 'Authorization Violation'"


async def test_an_expired_key_logs_nobody_in(stack: Stack, place: Place) -> None:
    key = Key(
        id=new_id(), tenant_id=place.tenant_id, user_id=new_id(), name="gone", role=Role.AGENT, expires_at=None,
    )  # fmt: skip
    await stack.admin_pool.execute(
        "INSERT INTO gateway.api_key (id, tenant_id, user_id, name, role, hash, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, now() - interval '1 second')",
        key.id, key.tenant_id, key.user_id, key.name, key.role.value, fingerprint("hw_gone", b"a pepper for tests"),
    )  # fmt: skip

    assert await place.answer_to(auth_token="hw_gone") == "-ERR 'Authorization Violation'"
