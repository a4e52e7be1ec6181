"""NATS is gone: gateways stay behind the proxy, answer queries with data and mutations with API_ERROR, and say so.

The proxy is a real HAProxy with the configuration of docker-compose.yml; where none is installed its tests are skipped.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import services.gateway.app
import services.registry.app
from deploy.entrypoint import ready
from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.settings import GatewaySettings
from services.registry.settings import RegistrySettings
from tests.support.alerts import Prometheus
from tests.support.cut import Cut, cut_before
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.services import PEPPER

CONFIGURATION = Path(__file__).parents[3] / "deploy" / "containers" / "haproxy.cfg"
FIND = "query($name: String) { project(where: {name: {_eq: $name}}) { name } }"
MAKE = "mutation($i: create_project_input!) { create_project(input: $i) { id } }"


@dataclass(frozen=True, slots=True)
class Behind:
    """A gateway, and its way to NATS."""

    gateway: Gateway
    nats: Cut

    @property
    def port(self) -> int:
        """Where it says how it is."""
        assert self.gateway._health is not None
        return self.gateway._health.port

    async def state(self) -> tuple[int, Any]:
        """What `/ready` answers."""
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{self.port}/ready")
        return answer.status_code, answer.json()

    async def loses_nats(self) -> None:
        """Until it knows."""
        self.nats.cut()
        await eventually(lambda: not self.gateway.bus.connected)

    async def finds_nats(self) -> None:
        """Until it is whole again."""
        self.nats.mend()
        await eventually(self._is_whole, timeout=60)

    async def _is_whole(self) -> bool:
        _, body = await self.state()
        assert body == {"ready": True, "degraded": False, "reasons": []}
        return True


def settings_on(stack: Stack, nats: Cut) -> GatewaySettings:
    """Of a gateway without keys, which gives up asking after as long as a busy machine may take to answer."""
    of_gateway: dict[str, Any] = {"auth": "off", "key_pepper": PEPPER}
    return GatewaySettings(
        postgres_url=stack.postgres_url("gateway"),
        reader_postgres_url=stack.postgres_url("reader"),
        nats_url=nats.url,
        port=0,
        health_port=0,
        rpc_timeout=timedelta(seconds=4),
        **of_gateway,
    )


@pytest.fixture(scope="module")
async def gateways(stack: Stack) -> AsyncIterator[tuple[Behind, Behind]]:
    settings = RegistrySettings(
        postgres_url=stack.postgres_url("registry"), nats_url=stack.nats_url
    )
    async with AsyncExitStack() as exits:
        registry = services.registry.app.build(settings)
        await exits.enter_async_context(running(registry))
        both = []
        for _ in range(2):
            cut = await exits.enter_async_context(cut_before(stack.nats_url))
            gateway = services.gateway.app.build(settings_on(stack, cut))
            both.append(Behind(await exits.enter_async_context(running(gateway)), cut))
        yield both[0], both[1]


async def makes(api: Gql, name: str) -> Any:
    """The answer to a mutation."""
    return (await api.post({"query": MAKE, "variables": {"i": {"name": name}}})).json()


async def test_a_gateway_without_nats_answers_queries_and_says_that_it_is_degraded(
    gateways: tuple[Behind, Behind],
) -> None:
    one, _ = gateways
    async with Gql(f"http://127.0.0.1:{one.gateway.port}") as api:
        await api(MAKE, i={"name": "kept"})
        await one.loses_nats()

        found = await api(FIND, name="kept")
        refused = await makes(api, "lost")
        status, body = await one.state()
        container = await asyncio.to_thread(ready, one.port)
        await one.finds_nats()
        made = await makes(api, "made again")

    assert found == {"project": [{"name": "kept"}]}
    assert refused["errors"][0]["extensions"]["code"] == "API_ERROR"
    assert status == 200
    assert (body["ready"], body["degraded"]) == (True, True)
    assert "NATS is not connected" in body["reasons"]
    assert container == [], "compose keeps it"
    assert "errors" not in made


async def test_a_degraded_gateway_is_alerted_as_such_and_not_as_one_that_is_not_ready(
    gateways: tuple[Behind, Behind],
) -> None:
    prometheus = Prometheus(f"http://127.0.0.1:{gateways[0].port}")  # one registry has both
    for each in gateways:
        await each.loses_nats()
    for now in (0, 20):
        for each in gateways:
            await each.gateway._pulse()
        await prometheus.scrape(now)
    degraded = prometheus.firing()
    for each in gateways:
        await each.finds_nats()
        await each.gateway._pulse()
    await prometheus.scrape(40)

    assert degraded["HeadwaterDegraded"] == [{"service": "gateway"}]
    assert {"service": "gateway"} not in degraded.get("HeadwaterNotReady", [])
    assert "HeadwaterDegraded" not in prometheus.firing()


async def test_a_gateway_that_has_lost_both_nats_and_its_reader_is_not_ready(
    gateways: tuple[Behind, Behind], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        msg = "gone"
        raise OSError(msg)

    one, _ = gateways
    monkeypatch.setattr(one.gateway._reads.rows, "ping", fails)

    without_reader = await one.state()
    await one.loses_nats()
    without_both = await one.state()
    monkeypatch.undo()
    await one.finds_nats()

    reason = "the read-only role does not answer: OSError"
    assert without_reader == (200, {"ready": True, "degraded": True, "reasons": [reason]})
    assert without_both == (503, {"ready": False, "degraded": False, "reasons": [reason]})


async def test_a_gateway_that_is_started_while_nats_is_away_answers_queries_until_it_is_back(
    stack: Stack, gateways: tuple[Behind, Behind], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gateway, "starts_without_nats_after", timedelta(seconds=0.2))
    async with cut_before(stack.nats_url) as cut:
        cut.cut()
        async with running(services.gateway.app.build(settings_on(stack, cut))) as gateway:
            late = Behind(gateway, cut)
            async with Gql(f"http://127.0.0.1:{gateway.port}") as api:
                found = await api("{ project(limit: 1) { __typename } }")
                refused = await makes(api, "lost")
                state = await late.state()
                health = gateway.failed()
                await late.finds_nats()
                made = await makes(api, "made when it was back")

        cut.cut()
        async with running(services.gateway.app.build(settings_on(stack, cut))):
            pass  # it stops, too

    assert "project" in found
    assert refused["errors"][0]["extensions"]["code"] == "API_ERROR"
    assert state == (200, {"ready": True, "degraded": True, "reasons": ["NATS is not connected"]})
    assert health == []
    assert "errors" not in made


@pytest.fixture
async def proxy(gateways: tuple[Behind, Behind], tmp_path: Path) -> AsyncIterator[str]:
    """HAProxy before both, as compose runs it; only where things are differs."""
    program = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
    if program is None:
        pytest.skip("no haproxy is installed here (apt-get install haproxy)")
    port = free_port()
    text = CONFIGURATION.read_text()
    servers = "\n".join(
        f"    server gateway{number} 127.0.0.1:{each.gateway.port} check port {each.port}"
        " inter 200ms fall 2 rise 1"
        for number, each in enumerate(gateways)
    )
    text = re.sub(r"(?m)^resolvers .*\n(?:    .*\n)+", "", text)
    text = re.sub(r"(?m)^    default-server .*\n", "", text)
    # Both gateways are in this process: one that has no core for a moment is slow, and not gone.
    text, defaults = re.subn(r"(?m)^defaults$", "defaults\n    timeout check 20s", text)
    text, backends = re.subn(r"(?m)^    server-template .*$", servers, text)
    text, binds = re.subn(r"(?m)^    bind :4200$", f"    bind 127.0.0.1:{port}", text)
    assert (defaults, backends, binds) == (1, 2, 1)
    file = tmp_path / "haproxy.cfg"
    file.write_text(text)
    process = await asyncio.create_subprocess_exec(program, "-f", str(file), "-db")
    url = f"http://127.0.0.1:{port}"
    async with Gql(url) as api:
        await eventually(api.answers, timeout=60)
    yield url
    process.terminate()
    await process.wait()


async def test_the_proxy_prefers_a_whole_gateway_and_keeps_degraded_ones_where_there_is_none(
    gateways: tuple[Behind, Behind], proxy: str
) -> None:
    one, other = gateways
    async with Gql(proxy) as api:
        await api(MAKE, i={"name": "kept by the proxy"})
        await one.loses_nats()
        await eventually(lambda: all_are_made(api), timeout=120)
        await other.loses_nats()
        await eventually(lambda: is_refused(api), timeout=120)

        find = {"query": FIND, "variables": {"name": "kept by the proxy"}}
        answers = [await api.post(find) for _ in range(40)]
        refused = await makes(api, "lost")

        for each in gateways:
            await each.finds_nats()
        await eventually(lambda: all_are_made(api), timeout=120)

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.text for answer in answers} == {
        '{"data":{"project":[{"name":"kept by the proxy"}]}}'
    }
    assert refused["errors"][0]["extensions"]["code"] == "API_ERROR"


async def test_the_proxy_answers_json_when_no_gateway_is_ready(
    gateways: tuple[Behind, Behind], proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_is_ready() -> list[str]:
        return ["PostgreSQL does not answer: TimeoutError"]

    for each in gateways:
        monkeypatch.setattr(each.gateway, "database_failures", none_is_ready)
    async with Gql(proxy) as api:

        async def is_told() -> Any:
            answer = await api.post({"query": "{ project(limit: 1) { name } }"})
            assert answer.status_code == 503
            return answer.json()

        told = await eventually(is_told, timeout=60)

    assert told["errors"][0]["extensions"]["code"] == "API_ERROR"


async def all_are_made(api: Gql) -> bool:
    """A row of mutations, more than there are gateways: each is done."""
    answers = [await makes(api, f"project {new_id()}") for _ in range(4)]
    return not any("errors" in answer for answer in answers)


async def is_refused(api: Gql) -> bool:
    """A gateway without NATS took the mutation."""
    return "errors" in await makes(api, f"project {new_id()}")
