"""`headwater-agent start --docker` on a real daemon and the real ledger, with a shell in place of Prefect."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.runs import StateApplied
from libs.runtime.bus import Bus
from services.runs.app import Runs
from tests.offline import Docker
from tests.support.agent_process import PATIENCE, AgentProcess, agent_process
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.ledger import Client, Flow, bus_on, impatient_ledger_on, tenant_with_flow

pytestmark = [pytest.mark.containers, pytest.mark.slow]

IMAGE = "headwater-fake-prefect:test"
_DOCKERFILE = """\
FROM python:3.11-slim
COPY prefect /usr/local/bin/prefect
"""
_PREFECT = """\
#!/bin/sh
[ "$1 $2" = "execute flow-run" ] || exit 64
eval "$SCRIPT"
"""

WAIT = "while [ ! -e /tmp/go ]; do sleep 0.1; done"
"""What a script does until `Watched.go_on`: however long the test takes, its container has not ended before."""


def does(script: str, *, image: str = IMAGE) -> dict[str, Any]:
    return {"type": "DockerRun", "image": image, "env": {"SCRIPT": script}}


@pytest.fixture(scope="module")
def fake_prefect(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image whose `prefect` does what the run's $SCRIPT says."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    (folder / "prefect").write_text(_PREFECT)
    (folder / "prefect").chmod(0o755)
    docker.run("build", "--tag", IMAGE, str(folder))
    return IMAGE


@pytest.fixture(scope="module")
async def ledger(stack: Stack) -> AsyncIterator[Runs]:
    async with impatient_ledger_on(stack) as ledger:
        yield ledger


@pytest.fixture(scope="module")
async def bus(stack: Stack, ledger: Runs) -> AsyncIterator[Bus]:
    async with bus_on(stack) as bus:
        yield bus


@pytest.fixture
async def flow(stack: Stack, ledger: Runs) -> Flow:
    """Without Lazarus: a process that leaves its run Running would be started once more."""
    settings = {"lazarus_enabled": False}
    return await tenant_with_flow(stack.admin_pool, core_version="1.4.1", settings=settings)


@pytest.fixture
async def client(bus: Bus, flow: Flow) -> Client:
    return Client(bus, flow.tenant_id)


@pytest.fixture
async def agent(
    stack: Stack, flow: Flow, docker: Docker, fake_prefect: str, tmp_path: Path
) -> AsyncIterator[AgentProcess]:
    url = {**os.environ, **docker.environment}.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    owner = f"label=io.headwater.agent={flow.tenant_id}/agent"
    try:
        async with agent_process(
            tmp_path / "one", stack.nats_url, flow.tenant_id, "--docker", "--docker-url", url
        ) as agent:
            yield agent
    finally:
        left = docker.run("ps", "--all", "--quiet", "--filter", owner).split()
        if left:
            docker.run("rm", "--force", *left)


class Watched:
    """What the daemon and the ledger have of a run."""

    def __init__(self, docker: Docker, stack: Stack, client: Client, run_id: UUID) -> None:
        self._docker, self._stack, self._client, self.id = docker, stack, client, run_id

    async def containers(self) -> list[str]:
        label = f"label=io.prefect.flow-run-id={self.id}"
        return (await self._run("ps", "--all", "--quiet", "--filter", label)).split()

    async def has_container(self) -> str:
        """Its container, once it runs."""

        async def running() -> str:
            [found] = await self.containers()
            assert (await self.inspect(found))["State"]["Running"]
            return found

        return await eventually(running, timeout=PATIENCE, pause=0.2)

    async def inspect(self, container: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(await self._run("inspect", container))
        return found[0]

    async def go_on(self, container: str) -> None:
        """Let a script go on that waits."""
        await self._run("exec", container, "touch", "/tmp/go")  # noqa: S108 - of the container

    async def begins(self) -> None:
        """The process says that it runs, which the shell in its place cannot."""
        assert isinstance(await self._client.set(self.id, "Running"), StateApplied)

    async def is_gone(self) -> None:
        async def gone() -> bool:
            assert await self.containers() == []
            return True

        await eventually(gone, timeout=PATIENCE, pause=0.2)

    async def becomes(self, state: str) -> str:
        """Wait for the state; its message."""

        async def became() -> str:
            row = await self._stack.admin_pool.fetchrow(
                "SELECT state, serialized_state ->> 'message' AS message FROM runs.flow_run WHERE id = $1",
                self.id,
            )
            assert row is not None
            assert row["state"] == state, row["state"]
            return row["message"] or "no message"

        return await eventually(became, timeout=PATIENCE)

    async def prints(self, *lines: str) -> None:
        async def printed() -> bool:
            rows = await self._stack.admin_pool.fetch(
                "SELECT message FROM runs.log WHERE flow_run_id = $1 AND name = 'stdout' "
                "ORDER BY timestamp, sequence",
                self.id,
            )
            assert sorted(row["message"] for row in rows) == sorted(lines)
            return True

        await eventually(printed, timeout=PATIENCE)

    async def _run(self, *arguments: str) -> str:
        return await asyncio.to_thread(lambda: self._docker.run(*arguments, timeout=60))


Make = Callable[..., Awaitable[Watched]]


@pytest.fixture
async def run(
    docker: Docker, stack: Stack, client: Client, flow: Flow, agent: AgentProcess
) -> Make:
    """Makes runs whose container does what a script says."""

    async def make(script: str, **fields: str) -> Watched:
        run_id = await client.create(flow, run_config=does(script, **fields))
        return Watched(docker, stack, client, run_id)

    return make


async def test_a_due_run_has_a_container_its_output_is_kept_and_nothing_stays(run: Make) -> None:
    watched = await run(f"echo one; echo two >&2; {WAIT}; printf 'no end of line'")

    container = await watched.has_container()
    config = (await watched.inspect(container))["Config"]
    await watched.begins()
    await watched.go_on(container)

    assert config["Cmd"] == ["prefect", "execute", "flow-run"]
    assert f"PREFECT__CONTEXT__IMAGE={IMAGE}" in str(config["Env"])
    await watched.prints("one", "two", "no end of line")
    await watched.is_gone()
    # It ended without a last word, so its run has no process any more, as with processes.
    assert "exit code 0" in await watched.becomes("Failed")


async def test_the_last_words_of_a_container_are_kept_though_docker_stops_following_before(
    run: Make,
) -> None:
    runs = [await run("echo first; sleep 0.5; printf 'last words'") for _ in range(4)]

    for watched in runs:  # Docker 20.10 ends three of four such follows before the last words
        await watched.prints("first", "last words")
        await watched.is_gone()


async def test_a_cancelled_run_is_asked_to_stop_and_killed_after_the_deadline(
    run: Make, client: Client
) -> None:
    watched = await run("trap 'echo asked' INT; trap 'echo told' TERM; while :; do sleep 0.1; done")
    await watched.has_container()
    await watched.begins()

    await client.set(watched.id, "Cancelling")

    await watched.becomes("Cancelled")
    await watched.prints("asked", "told")
    await watched.is_gone()


async def test_a_restarted_agent_takes_its_container_over_and_keeps_each_line_once(
    run: Make, agent: AgentProcess
) -> None:
    count = "while [ $i -lt {} ]; do echo $i; i=$((i+1)); sleep 0.1; done"
    watched = await run(f"i=0; {count.format(40)}; {WAIT}; {count.format(60)}; exit 3")
    container = await watched.has_container()
    await watched.begins()
    await agent.kill()
    await agent.start()

    await agent.has_said("found its container")
    await watched.go_on(container)
    await watched.prints(*(str(n) for n in range(60)))
    await agent.has_said("its container ended with exit code 3")
    await watched.is_gone()


async def test_what_ended_while_no_agent_was_there_is_reported_and_removed(
    run: Make, agent: AgentProcess, docker: Docker
) -> None:
    watched = await run(f"{WAIT}; echo last words; exit 4")
    container = await watched.has_container()
    await watched.begins()
    await agent.kill()
    await watched.go_on(container)
    await asyncio.to_thread(lambda: docker.run("wait", container))
    await agent.start()

    await agent.has_said("its container ended with exit code 4")
    await watched.prints("last words")
    await watched.is_gone()


async def test_a_container_is_found_by_its_labels_when_the_state_folder_is_lost(
    run: Make, agent: AgentProcess
) -> None:
    watched = await run(f"{WAIT}; exit 5")
    container = await watched.has_container()
    await watched.begins()
    await agent.kill()
    for path in sorted((agent.folder / "state/runs").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    await agent.start()

    await agent.has_said("found its container")
    await watched.go_on(container)
    await agent.has_said("its container ended with exit code 5")
    await watched.is_gone()


async def test_a_container_that_somebody_removed_has_vanished(
    run: Make, agent: AgentProcess, docker: Docker
) -> None:
    watched = await run("sleep 600")
    container = await watched.has_container()
    await watched.begins()

    await asyncio.to_thread(lambda: docker.run("rm", "--force", container))

    await agent.has_said("its container")
    await eventually(
        lambda: "vanished" in agent.said() or "signal 9" in agent.said(), timeout=PATIENCE
    )


async def test_a_killed_container_is_reported_with_its_signal(
    run: Make, agent: AgentProcess, docker: Docker
) -> None:
    watched = await run("sleep 600")
    container = await watched.has_container()
    await watched.begins()

    await asyncio.to_thread(lambda: docker.run("kill", container))

    await agent.has_said("its container was ended by signal 9")
    await watched.is_gone()


async def test_a_run_that_went_to_another_attempt_loses_its_container(
    run: Make, agent: AgentProcess, client: Client
) -> None:
    watched = await run("trap '' INT TERM; while :; do sleep 0.1; done")
    first = await watched.has_container()
    await watched.begins()

    await client.set(watched.id, "Scheduled")

    async def replaced() -> bool:
        assert first not in await watched.containers()
        return True

    await eventually(replaced, timeout=PATIENCE, pause=0.2)
    assert "stopping it, its run went to another attempt" in agent.said()


async def test_an_image_that_is_nowhere_fails_the_run_with_dockers_words(run: Make) -> None:
    watched = await run("true", image="headwater-no-such-image:test")

    assert "No such image" in await watched.becomes("Failed")


async def test_runs_of_one_name_have_containers_of_their_own(
    agent: AgentProcess, client: Client, flow: Flow, docker: Docker, stack: Stack
) -> None:
    ids = [
        await client.create(flow, flow_run_name="same/name", run_config=does("sleep 600"))
        for _ in range(2)
    ]
    both = [Watched(docker, stack, client, id_) for id_ in ids]

    names = {
        str((await watched.inspect(await watched.has_container()))["Name"]) for watched in both
    }

    assert names == {"/same-name", "/same-name-1"}
    for watched in both:
        await watched.begins()
        await client.set(watched.id, "Cancelling")
        await watched.becomes("Cancelled")
