"""A run's container is what the real DockerAgent of Prefect 1.4.1 would ask the daemon for, call by call."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.agent.container import DockerOptions, parse_volumes
from libs.agent.containers import Containers
from libs.agent.environment import Surroundings
from libs.agent.folder import Record, RunFolder
from libs.agent.say import Say
from libs.agent.wire import ClaimedRun
from tests.support.prefect_client import PrefectClient

pytestmark = [pytest.mark.client, pytest.mark.slow]

RUN = UUID("5c1cba35-8c53-4e5b-8d0d-5d1a2b3c4d5e")
FLOW = UUID("6c1cba35-8c53-4e5b-8d0d-5d1a2b3c4d5e")
TOKEN = UUID("7c1cba35-8c53-4e5b-8d0d-5d1a2b3c4d5e")
URL = "http://localhost:4200"
VOLUMES = ["/data:/inside:ro", "cache:/cache"]
NETWORKS = ["first", "second"]
CASES: dict[str, dict[str, Any]] = {
    "config": {
        "name": "A run, (nightly)",
        "storage": {"type": "Local", "__version__": "1.4.1"},
        "run_config": {
            "type": "DockerRun",
            "image": "reg.example/etl:2",
            "env": {"FROM_RUN": "2", "SHARED": "run"},
            "host_config": {"shm_size": "1g"},
            "ports": [8080],
            "labels": [],
            "__version__": "1.4.1",
        },
    },
    "storage": {
        "name": "quick-fox",
        "storage": {
            "type": "Docker",
            "registry_url": "reg.example/team",
            "image_name": "etl",
            "image_tag": "7",
            "path": "/flow",
            "prefect_version": "1.4.1",
            "flows": {},
            "__version__": "1.4.1",
        },
        "run_config": {"type": "UniversalRun", "env": {"X": "1"}, "labels": [], "__version__": "1.4.1"},
    },
    "neither": {"name": "quick-fox", "storage": {"type": "Local", "__version__": "1.4.1"}},
}  # fmt: skip

RECORDER = '''
class Recorder:
    """docker.APIClient, but that it only notes what it is asked."""

    def __init__(self, *_, **__):
        self.calls = []

    def __getattr__(self, name):
        def call(*args, **kwargs):
            if name not in ("version", "ping"):
                self.calls.append([name, list(args), kwargs])
            if name == "version":
                return {"Version": "24.0.5"}
            if name == "pull":
                return []
            if name == "create_container":
                return {"Id": "the-container"}
            if name.startswith("create_"):
                return [name, list(args), kwargs]
        return call
'''

DOCKER_AGENT = """
    import types
    from unittest.mock import patch

    import docker
    from prefect.agent.docker import DockerAgent
    from prefect.utilities.graphql import GraphQLResult

    {recorder}
    with patch.object(docker, "APIClient", Recorder):
        agent = DockerAgent(
            labels=["gpu"],
            env_vars={{"FROM_AGENT": "1", "SHARED": "agent"}},
            volumes={volumes!r},
            networks={networks!r},
        )
        agent.deploy_flow(GraphQLResult({run!r}))
        answer(agent.docker_client.calls)
"""


@pytest.mark.parametrize("case", CASES)
async def test_the_daemon_is_asked_for_the_same(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PREFECT__LOGGING__LEVEL", "PREFECT__LOGGING__FORMAT"):
        monkeypatch.delenv(name, raising=False)
    fields = CASES[case]
    client = await PrefectClient.installed("1.4.1", url=URL, home=tmp_path / "home")
    recorder = "\n    ".join(RECORDER.strip().splitlines())
    flow = {"id": str(FLOW), "name": "f", "storage": fields["storage"], "core_version": "1.4.1"}
    run = {
        "id": str(RUN),
        "name": fields["name"],
        "run_config": fields.get("run_config"),
        "flow": flow,
    }

    theirs: list[list[Any]] = await client.answer(
        DOCKER_AGENT.format(recorder=recorder, volumes=VOLUMES, networks=NETWORKS, run=run)
    )
    ours = await calls_of_ours(tmp_path, fields)

    normal(theirs)
    normal(ours, is_ours=True)
    assert ours == theirs


async def calls_of_ours(tmp_path: Path, fields: dict[str, Any]) -> list[list[Any]]:
    known: dict[str, Any] = {}
    exec(RECORDER, known)  # noqa: S102 - the same recorder on both sides, ours and the client's
    recorder = known["Recorder"]()
    containers = Containers(
        api=recorder,
        options=DockerOptions(networks=tuple(NETWORKS), volumes=parse_volumes(VOLUMES)),
        surroundings=Surroundings(
            api_url=URL,
            labels=("gpu",),
            given={"FROM_AGENT": "1", "SHARED": "agent"},
            fences=False,
        ),
        owner="tenant/agent",
        daemon=(24, 0, 5),
        say=Say(),
    )
    claimed = ClaimedRun(
        flow_run_id=RUN, lease_token=TOKEN, attempt=1, lease=5, flow_id=FLOW, flow_name="f",
        core_version="1.4.1", **fields,
    )  # fmt: skip
    await containers.prepare(RunFolder(tmp_path, Record(run=claimed)))
    recorder.start(container="the-container")
    found: list[list[Any]] = recorder.calls
    return found


def normal(calls: list[list[Any]], *, is_ours: bool = False) -> None:
    """Take out what is meant to differ, having seen that it does."""
    for name, _, given in calls:
        if name == "create_host_config":
            assert given.pop("auto_remove") is not is_ours
        if name == "create_container":
            given["host_config"][2].pop("auto_remove", None)
            ours = {key for key in given["labels"] if key.startswith("io.headwater.")}
            assert bool(ours) is is_ours
            for key in ours:
                del given["labels"][key]
            assert ("PREFECT__LOGGING__FORMAT" in given["environment"]) is is_ours
            given["environment"].pop("PREFECT__LOGGING__FORMAT", None)
        if name == "connect_container_to_network" and isinstance(given["container"], dict):
            given["container"] = given["container"]["Id"]
