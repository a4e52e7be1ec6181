"""The real Prefect in containers, started by `headwater-agent start --docker` and by Prefect's own DockerAgent.

With API keys, at the address that containers of this machine have for it: nothing of it is on loopback.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.offline import Docker
from tests.offline.stand_ins import provide_prefect
from tests.support.agent_process import agent_process
from tests.support.containers import host_of_containers, tell
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.prefect_client import PrefectClient
from tests.support.services import all_services

pytestmark = [pytest.mark.containers, pytest.mark.client, pytest.mark.slow]

ADMIN = "hw_first-key-for-tests"
IMAGE = "headwater-story:test"
AGENTS = {"native": "HeadwaterAgent", "stock": "DockerAgent"}
"""Their labels, and the type that each shows itself as."""
RUN_WITHIN = 240.0  # seconds; four containers import Prefect on two cores

STORY = """\
import time

import prefect
from prefect import Flow, Parameter, task


@task(log_stdout=True)
def talk(to):
    prefect.context.get("logger").info("logged for %s", to)
    print("printed")


@task
def sleep_for_ever():
    while True:
        time.sleep(0.1)


with Flow("talk") as talking:
    talk(Parameter("to"))
with Flow("sleep") as sleeping:
    sleep_for_ever()
"""
# The flows are in the image, as most users of DockerRun have them, and registered from another machine.
REGISTER = """
    import importlib.util, sys
    from prefect import Client
    from prefect.run_configs import DockerRun
    from prefect.storage import Local

    spec = importlib.util.spec_from_file_location("story", {path!r})
    story = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(story)

    client = Client()
    client.create_project("docker")
    runs = {{}}
    for flow in (story.talking, story.sleeping):
        flow.storage = Local(path="/flows/story.py", stored_as_script=True, add_default_labels=False)
        flow.run_config = DockerRun(image={image!r})
        id = flow.register(project_name="docker", labels=["nobody"])
        for agent in {agents!r}:
            runs[f"{{flow.name}} {{agent}}"] = client.create_flow_run(
                flow_id=id,
                labels=[agent],
                parameters={{"to": agent}} if flow.name == "talk" else None,
            )
    answer(runs)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Both agents at work; `runs` by flow and agent."""

    docker: Docker
    api: Gql
    runs: dict[str, str]

    async def becomes(self, run_id: str, state: str) -> dict[str, Any]:
        """The run, once it is in this state."""
        query = """
        query($id: uuid!) { flow_run_by_pk(id: $id) {
          state states(order_by: {version: asc}) { state } logs { name message } task_runs { state } agent { type }
        } }"""

        async def became() -> dict[str, Any]:
            run: dict[str, Any] = (await self.api(query, id=run_id))["flow_run_by_pk"]
            assert run["state"] == state, run
            return run

        return await eventually(became, timeout=RUN_WITHIN, pause=0.25)

    def running(self, run_id: str) -> list[str]:
        """Containers of a run that have not ended."""
        label = f"label=io.prefect.flow-run-id={run_id}"
        return self.docker.run("ps", "--quiet", "--filter", label).split()


@pytest.fixture(scope="module")
def host(docker: Docker) -> str:
    """Where containers find the API; a Docker in another machine, Docker Desktop's for one, has no such place."""
    return host_of_containers(docker)


@pytest.fixture(scope="module")
def story(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flows' file, which is in the image `IMAGE` too."""
    folder = tmp_path_factory.mktemp("image")
    base = provide_prefect(docker, tell)
    (folder / "story.py").write_text(STORY)
    (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY story.py /flows/story.py\n")
    docker.run("build", "--tag", IMAGE, str(folder))
    return folder / "story.py"


@pytest.fixture(scope="module")
async def world(
    host: str, docker: Docker, stack: Stack, story: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    docker_url = docker.environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    async with AsyncExitStack() as exits:
        gateway = await exits.enter_async_context(
            all_services(stack, host=host, auth="required", bootstrap_key=ADMIN)
        )
        url = f"http://{host}:{gateway.port}"
        api = await exits.enter_async_context(
            Gql(url, headers={"authorization": f"Bearer {ADMIN}"})
        )
        client = await PrefectClient.installed(
            "1.4.1",
            url=url,
            home=tmp_path_factory.mktemp("home"),
            PREFECT__BACKEND="cloud",
            PREFECT__CLOUD__API=url,
            PREFECT__CLOUD__API_KEY=ADMIN,
        )
        runs = await client.answer(
            REGISTER.format(path=str(story), image=IMAGE, agents=[*AGENTS]), within=120
        )
        exits.callback(_remove_containers, docker, runs.values())
        await exits.enter_async_context(
            agent_process(
                tmp_path_factory.mktemp("native"), stack.nats_url, None,
                *("--docker", "--docker-url", docker_url, "--api", url, "--api-key", ADMIN),
                *("--label", "native", "--capacity", "4"),
                # What tells the run is the agent: its own look would come too late.
                *("--env", "PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL=300"),
            )
        )  # fmt: skip
        stock = await exits.enter_async_context(
            client.agent(
                *("--base-url", docker_url, "--label", "stock"),
                *("--env", "PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL=1"),
                kind="docker",
            )
        )
        try:
            yield World(docker=docker, api=api, runs=runs)
        finally:
            tell(stock.output())


def _remove_containers(docker: Docker, runs: Any) -> None:
    for run_id in runs:
        label = f"label=io.prefect.flow-run-id={run_id}"
        if left := docker.run("ps", "--all", "--quiet", "--filter", label).split():
            docker.run("rm", "--force", *left, check=False)  # some may be going already


@pytest.mark.parametrize("agent", AGENTS)
async def test_a_flow_runs_to_success_in_a_container_and_says_everything_once(
    world: World, agent: str
) -> None:
    run_id = world.runs[f"talk {agent}"]
    found = await world.becomes(run_id, "Success")
    states = [each["state"] for each in found["states"]]

    async def has_said_it() -> bool:
        logs = (await world.becomes(run_id, "Success"))["logs"]
        said = [(line["name"], line["message"]) for line in logs]
        assert said.count(("prefect.talk", f"logged for {agent}")) == 1, said
        assert [name for name, message in said if message == "printed"] == [
            "prefect.CloudTaskRunner"
        ]
        return True

    await eventually(has_said_it, timeout=60, pause=0.25)
    assert states == ["Scheduled", "Submitted", "Running", "Success"]
    assert [task["state"] for task in found["task_runs"]] == ["Success"] * 2
    assert found["agent"]["type"] == AGENTS[agent]


@pytest.mark.parametrize("agent", AGENTS)
async def test_a_cancelled_flow_stops_and_so_does_its_container(world: World, agent: str) -> None:
    run_id = world.runs[f"sleep {agent}"]
    await world.becomes(run_id, "Running")
    assert len(world.running(run_id)) == 1

    await world.api(
        "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }", id=run_id
    )

    await world.becomes(run_id, "Cancelled")
    await eventually(lambda: world.running(run_id) == [], timeout=30, pause=0.25)
