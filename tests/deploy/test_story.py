"""The life of a deployment by `docker compose`: set up, upgraded, attacked, scaled, stopped and started again.

The tests of this module are the chapters of one story, told in this order on one deployment. It begins on the previous
image: that of the newest version tag, or, while nothing was released, this checkout's under another version.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.contracts.services import SERVICES
from libs.contracts.states import is_finished
from libs.runtime.ids import new_id
from tests.offline import Docker
from tests.offline.image import build, build_commit, newest_release
from tests.support.agent_process import AgentProcess, agent_process
from tests.support.certificates import certificates_for
from tests.support.containers import JOBS, LONG_RUNNING, Deployment, compose_v2, tell
from tests.support.cut import cut_before
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.ports import free_port
from tests.support.prefect_client import Agent, PrefectClient

pytestmark = [pytest.mark.containers, pytest.mark.client, pytest.mark.slow]

Native = Callable[..., AbstractAsyncContextManager[AgentProcess]]

PREVIOUS = "headwater:previous"
RUN_WITHIN = 180.0  # seconds; beside nine containers on two cores

FLOWS = """
    import time
    from datetime import timedelta
    from pathlib import Path

    import pendulum
    from prefect import Client, Flow, Parameter, task
    from prefect.schedules import IntervalSchedule

    @task
    def add(x, y):
        return x + y

    @task
    def wait(seconds):
        time.sleep(seconds)

    @task
    def wait_for(path):
        while not Path(path).exists():
            time.sleep(0.5)

    with Flow("quick") as quick:
        add(Parameter("x", default=38), 4)
    with Flow("long") as long:
        before = None
        for _ in range(20):
            before = wait(2, upstream_tasks=[before] if before else [])
        wait_for(Parameter("path"), upstream_tasks=[before])
    tomorrow = IntervalSchedule(
        start_date=pendulum.now("UTC").add(days=1), interval=timedelta(hours=1)
    )
    with Flow("hourly", schedule=tomorrow) as hourly:
        add(1, 1)

    Client().create_project("story")
    answer({flow.name: flow.register(project_name="story") for flow in (quick, long, hourly)})
"""


@pytest.fixture(scope="module")
def previous(docker: Docker, image: str) -> str:
    """The image that people upgrade from."""
    release = newest_release()
    if release is None:
        build(docker, PREVIOUS, version="previous", tell=tell)
    else:
        build_commit(docker, PREVIOUS, release)
    return PREVIOUS


@pytest.fixture(scope="module")
async def deployment(
    docker: Docker, previous: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    found = Deployment(
        docker=docker,
        compose=compose_v2(),
        project=f"headwater-{folder.name}",
        folder=folder,
        image=previous,
    )
    try:
        await found.up()
        yield found
    finally:
        (folder / "log").write_text(await found.logs())
        tell(f"what the containers said is in {folder / 'log'}")
        await found.down(with_data=True)


@pytest.fixture(scope="module")
async def api(deployment: Deployment) -> AsyncIterator[Gql]:
    async with deployment.api() as gql:
        yield gql


@pytest.fixture(scope="module")
async def client(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> PrefectClient:
    """A user's machine, with an API key, as for Prefect Cloud."""
    return await PrefectClient.installed(
        "1.4.1",
        url=deployment.url,
        home=tmp_path_factory.mktemp("home"),
        PREFECT__BACKEND="cloud",
        PREFECT__CLOUD__API=deployment.url,
        PREFECT__CLOUD__API_KEY=deployment.key,
    )


@pytest.fixture(scope="module")
async def agent(client: PrefectClient) -> AsyncIterator[Agent]:
    async with client.agent() as running:
        yield running


@pytest.fixture(scope="module")
async def flows(client: PrefectClient) -> dict[str, str]:
    """Ids by name."""
    registered: dict[str, str] = await client.answer(FLOWS, within=120)
    return registered


async def start(api: Gql, flow_id: str, **more: Any) -> str:
    created = await api(
        "mutation ($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
        input={"flow_id": flow_id, **more},
    )
    run_id: str = created["create_flow_run"]["id"]
    return run_id


async def state_of(api: Gql, run_id: str) -> dict[str, Any]:
    found = await api(
        "query ($id: uuid!) { flow_run_by_pk(id: $id) { state state_message version } }", id=run_id
    )
    run: dict[str, Any] = found["flow_run_by_pk"]
    return run


async def finished(api: Gql, run_id: str) -> str:
    async def at_its_end() -> str:
        run = await state_of(api, run_id)
        assert is_finished(run["state"]), f"the run is {run}"
        state: str = run["state"]
        return state

    return await eventually(at_its_end, timeout=RUN_WITHIN, pause=0.5)


async def run_it(api: Gql, agent: Agent, flow_id: str) -> str:
    run_id = await start(api, flow_id)
    await agent.poke()
    return await finished(api, run_id)


async def scheduled(api: Gql, flow_id: str) -> list[str]:
    found = await api(
        """query ($id: uuid!) { flow_run(
             where: {flow_id: {_eq: $id}}, order_by: {scheduled_start_time: asc}
           ) { scheduled_start_time } }""",
        id=flow_id,
    )
    return [run["scheduled_start_time"] for run in found["flow_run"]]


async def test_a_flow_is_registered_with_a_key_and_runs_on_an_agent(
    api: Gql, agent: Agent, flows: dict[str, str]
) -> None:
    assert await run_it(api, agent, flows["quick"]) == "Success"


async def test_a_schedule_is_followed_through_all_services(api: Gql, flows: dict[str, str]) -> None:
    async def ten() -> bool:
        return len(await scheduled(api, flows["hourly"])) == 10

    await eventually(ten, timeout=30, pause=0.5)


async def test_the_new_image_takes_over_the_data_of_the_previous_one(
    deployment: Deployment, image: str, api: Gql, agent: Agent, flows: dict[str, str]
) -> None:
    deployment.image = image

    await deployment.up()

    running = {
        (await deployment.inspect(container))["Config"]["Image"]
        for name in ("gateway", "runs", "lazarus")
        for container in await deployment.containers(name)
    }
    assert running == {image}
    assert len(await scheduled(api, flows["hourly"])) == 10
    assert await run_it(api, agent, flows["quick"]) == "Success"


async def test_a_stranger_gets_nothing(deployment: Deployment) -> None:
    async with Gql(deployment.url) as stranger, deployment.api("hw_" + "0" * 43) as guesser:
        for api in (stranger, guesser):
            for asked in (
                "{ flow { id } }",
                'mutation { create_project(input: {name: "x"}) { id } }',
            ):
                assert await api.errors(asked)
    async with httpx.AsyncClient(base_url=deployment.url) as http:
        hidden = [await http.get(path) for path in ("/metrics", "/ready", "/health")]

    assert [answer.status_code for answer in hidden] == [404, 404, 404]


async def test_the_address_of_a_leased_run_passes_the_proxy(deployment: Deployment) -> None:
    address = f"{deployment.url}/lease/{new_id()}/{new_id()}"
    async with httpx.AsyncClient() as http:
        answers = [
            await http.post(address + path, json={"query": "{ hello }"})
            for path in ("", "/", "/graphql", "/graphql/alpha")
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200]
    assert all("errors" in answer.json() for answer in answers), "without a key"


async def test_only_the_proxy_is_open_and_only_on_the_loopback_address(
    deployment: Deployment,
) -> None:
    ports = {
        name: (await deployment.inspect(container))["NetworkSettings"]["Ports"]
        for name in LONG_RUNNING
        for container in await deployment.containers(name)
    }
    published = {
        name: [b for bindings in found.values() for b in bindings or []]
        for name, found in ports.items()
    }

    assert {name for name, bindings in published.items() if bindings} == {"proxy"}
    assert published["proxy"] == [{"HostIp": "127.0.0.1", "HostPort": str(deployment.port)}]


async def test_every_container_is_locked_down(deployment: Deployment) -> None:
    for name in LONG_RUNNING:
        [container] = await deployment.containers(name)
        found = await deployment.inspect(container)
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        # HAProxy's and the services' images name a user of their own.
        user = Path(f"/proc/{found['State']['Pid']}/status").read_text()
        assert "Uid:\t0\t" not in user, f"{name} runs as root"


async def test_no_secret_is_in_a_log_or_on_a_command_line(deployment: Deployment) -> None:
    said = await deployment.logs()
    commands = [
        str((await deployment.inspect(container))[part])
        for name in (*LONG_RUNNING, *JOBS)
        for container in await deployment.containers(name)
        for part in ("Path", "Args")
    ]

    found = [n for n, value in deployment.secrets.items() if value in said or value in str(commands)]  # fmt: skip
    assert found == []


async def test_nats_refused_nothing_to_the_services(deployment: Deployment) -> None:
    said = await deployment.logs("nats")

    assert [line for line in said.splitlines() if "Violation" in line] == []


async def test_a_run_survives_kill_9_of_every_container(
    deployment: Deployment, api: Gql, agent: Agent, flows: dict[str, str], tmp_path: Path
) -> None:
    all_were_killed = tmp_path / "all were killed"
    run_id = await start(api, flows["long"], parameters={"path": str(all_were_killed)})
    await agent.poke()

    async def is_running() -> bool:
        return bool((await state_of(api, run_id))["state"] == "Running")

    await eventually(is_running, timeout=RUN_WITHIN, pause=0.5)
    for name in LONG_RUNNING:
        await deployment.kill(name)
        await deployment.answers()
    assert await is_running()
    all_were_killed.touch()

    assert await finished(api, run_id) == "Success"


async def test_a_client_works_through_a_proxy_that_speaks_tls(
    deployment: Deployment, tmp_path: Path
) -> None:
    certificates = certificates_for("127.0.0.1", tmp_path)
    context = ssl.create_default_context(cafile=str(certificates.ca))
    async with cut_before(deployment.url, tls=certificates) as proxy:
        user = await PrefectClient.installed(
            "1.4.1",
            url=proxy.url,
            home=tmp_path / "home",
            PREFECT__BACKEND="cloud",
            PREFECT__CLOUD__API=proxy.url,
            PREFECT__CLOUD__API_KEY=deployment.key,
            REQUESTS_CA_BUNDLE=str(certificates.ca),
        )
        registered = await user.answer(FLOWS.replace("story", "over https"), within=120)
        async with (
            user.agent("--label", "https") as agent,
            Gql(proxy.url, headers=deployment.header, verify=context) as api,
            httpx.AsyncClient(verify=context) as http,
        ):
            run_id = await start(api, registered["quick"], labels=["https"])
            await agent.poke()
            assert await finished(api, run_id) == "Success"
            page = await http.get(proxy.url, headers={"accept": "text/html"})

    assert page.status_code == 200
    assert "<html" in page.text
    assert f"http://127.0.0.1:{deployment.port}" not in page.text
    assert "http://" not in page.text.replace("http://www.w3.org/", "")


@pytest.fixture(scope="module")
async def native(
    deployment: Deployment,
    api: Gql,
    client: PrefectClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Native:
    """A native agent with a key of its own, once it is told where NATS is and how to speak with it."""
    made = await api(
        "mutation($i: create_api_key_input!) { create_api_key(input: $i) { key } }",
        i={"name": "native", "role": "agent"},
    )
    return lambda nats_url, *options: agent_process(
        tmp_path_factory.mktemp("native"), nats_url, None,
        *("--api", deployment.url, "--api-key", made["create_api_key"]["key"], "--label", "native"),
        *("--python", str(client.environment.python)),
        *("--env", f"PREFECT__HOME_DIR={client.home}"),
        *options,
    )  # fmt: skip


async def test_a_native_agent_serves_runs_when_nats_is_opened_to_it(
    deployment: Deployment, api: Gql, flows: dict[str, str], native: Native
) -> None:
    deployment.nats_port = free_port()
    await deployment.up()

    async with native(f"nats://127.0.0.1:{deployment.nats_port}") as agent:
        run_id = await start(api, flows["quick"], labels=["native"])
        await agent.has_said("started, process")
        assert await finished(api, run_id) == "Success"


async def test_nats_is_made_to_speak_tls_with_services_and_agents_and_goes_on_so(
    deployment: Deployment, api: Gql, agent: Agent, flows: dict[str, str], native: Native
) -> None:
    deployment.nats_tls = deployment.folder / "nats-tls"
    for folder in (deployment.tls, deployment.nats_tls):
        folder.mkdir()
    ca = certificates_for("127.0.0.1", deployment.nats_tls, names=["nats"]).ca
    shutil.copy(ca, deployment.tls)

    await deployment.up()

    reader, writer = await asyncio.open_connection("127.0.0.1", deployment.nats_port)
    greeting = await reader.readline()
    writer.close()
    assert b'"tls_required":true' in greeting, "nobody is spoken with in clear"
    assert await run_it(api, agent, flows["quick"]) == "Success"
    async with native(f"tls://127.0.0.1:{deployment.nats_port}", "--tls-ca", str(ca)) as secure:
        run_id = await start(api, flows["quick"], labels=["native"])
        await secure.has_said("started, process")
        assert await finished(api, run_id) == "Success"


async def test_two_ledgers_and_two_gateways_share_the_work(
    deployment: Deployment, api: Gql, flows: dict[str, str]
) -> None:
    deployment.scale = {"runs": 2, "gateway": 2}
    await deployment.up()

    async def both_serve() -> bool:
        later = "2100-01-01T00:00:00Z"
        await asyncio.gather(
            *(start(api, flows["quick"], scheduled_start_time=later) for _ in range(20))
        )
        return all([await answered(deployment, name) for name in ("runs", "gateway")])

    await eventually(both_serve, timeout=60, pause=0.5)

    found = await api(
        """{ flow_run(where: {scheduled_start_time: {_gte: "2100-01-01T00:00:00Z"}}) { id version } }"""
    )
    assert {run["version"] for run in found["flow_run"]} == {1}


async def answered(deployment: Deployment, service: str) -> bool:
    """Whether each container of the service has answered requests."""
    metric = {"runs": "headwater_request_seconds_count", "gateway": "headwater_http_seconds_count"}
    counts = [
        sum(float(n) for n in re.findall(rf"^{metric[service]}{{.*}} (\S+)$", text, re.MULTILINE))
        for text in [
            await deployment.metrics(container)
            for container in await deployment.containers(service)
        ]
    ]
    return len(counts) == 2 and all(count > 0 for count in counts)


async def test_callers_who_try_again_do_not_notice_that_one_of_two_dies(
    deployment: Deployment, api: Gql, flows: dict[str, str]
) -> None:
    stop = asyncio.Event()
    created: list[str] = []

    async def create(key: str) -> str:
        """As Prefect's clients do: what is answered with API_ERROR may have been done, and is asked again."""
        later = "2101-01-01T00:00:00Z"
        return await eventually(
            lambda: start(api, flows["quick"], scheduled_start_time=later, idempotency_key=key),
            timeout=30,
        )

    async def keep_creating() -> None:
        while not stop.is_set():
            created.append(await create(f"run {len(created)}"))

    caller = asyncio.create_task(keep_creating())
    try:
        await deployment.kill("runs")
    finally:
        stop.set()
    await caller

    found = await api(
        """{ flow_run(
             where: {scheduled_start_time: {_eq: "2101-01-01T00:00:00Z"}}
           ) { id } }"""
    )
    assert created
    assert sorted(run["id"] for run in found["flow_run"]) == sorted(created)


async def test_down_and_up_keep_everything(
    deployment: Deployment, api: Gql, agent: Agent, flows: dict[str, str]
) -> None:
    before = await scheduled(api, flows["hourly"])
    deployment.scale = {}
    await deployment.down()
    assert await deployment.containers("gateway") == []

    await deployment.up()

    assert await scheduled(api, flows["hourly"]) == before
    assert await run_it(api, agent, flows["quick"]) == "Success"


async def test_sigterm_ends_every_service_in_time_and_in_order(deployment: Deployment) -> None:
    for name in SERVICES:
        [container] = await deployment.containers(name)
        await asyncio.to_thread(deployment.docker.run, "stop", "--time", "20", container)
        state = (await deployment.inspect(container))["State"]
        # 137 would be a kill after the time was up.
        assert state["ExitCode"] in {0, 143}, f"{name} ended with {state['ExitCode']}"
