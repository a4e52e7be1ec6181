"""Agents log in to NATS with an API key: confined to the key's tenant at once, and out when the key is revoked."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from libs.agent.address import Address
from libs.agent.link import Link
from libs.agent.metrics import Metrics
from libs.agent.say import Say
from libs.contracts.subjects import agent_inbox
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from services.gateway.keys import Key, Role, fingerprint
from tests.support.alerts import Prometheus
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.secured import LOGIN_LIFETIME, Secured, secured

X = new_id()


@pytest.fixture(scope="module", params=["containers", "embedded"])
async def place(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Secured]:
    async with secured(stack, embedded=request.param == "embedded") as found:
        yield found


def an_agents_link(place: Secured, key: str, *, on_connected: Callable[[], None]) -> Link:
    return Link(
        Address(url=f"nats://127.0.0.1:{place.server.port}", api_key=key),
        place.tenant_id,
        name="agent",
        metrics=Metrics(),
        say=Say(as_json=False),
        on_connected=on_connected,
    )


@pytest.mark.parametrize("role", ["agent", "user", "tenant_admin"])
async def test_a_key_that_may_serve_runs_logs_in(place: Secured, role: str) -> None:
    _, key = await place.key(role)

    assert await place.server.answer_to_login(auth_token=key) == "+OK"
    assert await place.server.answer_to_login(user="anything", **{"pass": key}) == "+OK"


@pytest.mark.parametrize(
    ("role", "is_told"), [("agent", True), ("tenant_admin", True), ("read_only", False)]
)
async def test_the_api_tells_where_nats_is_to_those_who_may_serve_runs(
    place: Secured, role: str, is_told: bool
) -> None:
    _, key = await place.key(role)
    document = "{ api { nats { url tls protocols } } auth_info { tenant_id permissions } }"

    async with Gql(place.api.url, headers={"authorization": f"Bearer {key}"}) as api:
        told = await api(document)
    async with Gql(place.api.url) as api:
        stranger = await api.errors(document)

    there = {"url": f"nats://127.0.0.1:{place.server.port}", "tls": False, "protocols": [1]}
    assert told["api"]["nats"] == (there if is_told else None)
    assert told["auth_info"]["tenant_id"] == str(place.tenant_id)
    assert ("create:agent" in told["auth_info"]["permissions"]) == is_told
    assert stranger
    assert str(place.server.port) not in str(stranger)


async def test_any_other_key_is_turned_away(place: Secured) -> None:
    _, read_only = await place.key("read_only")
    revoked_id, revoked = await place.key()
    await place.revoke(revoked_id)

    answers = {
        await place.server.answer_to_login(**options)
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


async def test_an_agent_is_confined_to_the_tenant_of_its_key(place: Secured) -> None:
    _, key = await place.key()
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


async def test_an_agent_shows_its_key_again_when_its_log_in_runs_out(place: Secured) -> None:
    _, key = await place.key()
    connections = asyncio.Semaphore(0)
    link = an_agents_link(place, key, on_connected=connections.release)

    await link.open()
    async with asyncio.timeout(20):
        for _ in range(3):  # the first, and two that follow
            await connections.acquire()
    is_connected = link.is_connected
    await link.close()

    assert is_connected


async def test_healthy_log_ins_fire_no_alert_and_a_refused_subject_still_does(
    place: Secured,
) -> None:
    _, key = await place.key()
    prometheus = Prometheus(place.api.url)
    await prometheus.scrape(now=0)
    already_refused = len(place.server.violations())
    connections = asyncio.Semaphore(0)
    link = an_agents_link(place, key, on_connected=connections.release)

    await link.open()
    async with asyncio.timeout(30):
        for _ in range(4):  # the first, and three that follow
            await connections.acquire()
    await link.close()
    # By the gateway's connection and back: what NATS had refused it before has been heard then.
    await place.api(
        "mutation($i: create_project_input!) { create_project(input: $i) { id } }",
        i={"name": f"after the log-ins {new_id()}"},
    )
    await prometheus.scrape(now=60)

    assert place.server.violations()[already_refused:] == []
    assert "HeadwaterNatsErrors" not in prometheus.firing()

    bus = Bus(place.server.url("gateway"), service="gateway")
    await bus.start()
    await bus.signal("hw.sig.of.nobody")
    await bus.client.flush()
    await bus.stop()

    await prometheus.scrape(now=120)
    refused = {"service": "gateway", "event": "permission_violation"}
    assert prometheus.firing()["HeadwaterNatsErrors"] == [refused]


async def test_a_connected_agent_is_out_when_its_key_is_revoked(place: Secured) -> None:
    key_id, key = await place.key()
    reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
    writer.write(f'CONNECT {{"auth_token": "{key}", "verbose": false}}\r\nPING\r\n'.encode())
    async with asyncio.timeout(LOGIN_LIFETIME.total_seconds() + 10):
        while await reader.readline() != b"PONG\r\n":
            pass
        await place.revoke(key_id)

        last_words = (await reader.read()).decode()  # to the end: the server closes
    writer.close()

    assert "User Authentication Expired" in last_words
    assert await place.server.answer_to_login(auth_token=key) == "-ERR 'Authorization Violation'"


async def test_an_expired_key_logs_nobody_in(stack: Stack, place: Secured) -> None:
    key = Key(
        id=new_id(), tenant_id=place.tenant_id, user_id=new_id(), name="gone", role=Role.AGENT, expires_at=None,
    )  # fmt: skip
    text = f"hw_gone-{key.id}"
    await stack.admin_pool.execute(
        "INSERT INTO gateway.api_key (id, tenant_id, user_id, name, role, hash, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, now() - interval '1 second')",
        key.id, key.tenant_id, key.user_id, key.name, key.role.value, fingerprint(text, b"a pepper for tests"),
    )  # fmt: skip

    assert await place.server.answer_to_login(auth_token=text) == "-ERR 'Authorization Violation'"
