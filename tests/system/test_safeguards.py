"""Flow processes of the real client that are killed in mid-task, and what the safeguards make of their runs.

All are started and killed together, so that the waits are shared; each test looks at one. The silence is twelve seconds
instead of two minutes; Lazarus looks every second, and waits for twice as long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from libs.contracts.states import is_finished
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.headwater import LOOK, Headwater
from tests.support.prefect_client import PrefectClient

pytestmark = [pytest.mark.client, pytest.mark.slow]

# Seconds. Between a run's first ping and the second one a process imports Prefect, beside seven others that do.
SILENCE = 12
WITHIN = 240.0
IMPATIENT: dict[str, Any] = {
    "heartbeat_interval": f"PT{SILENCE // 4}S",
    "heartbeat_write_interval": "PT1S",
    "heartbeat_check_interval": "PT1S",
    "alive_every": "PT1S",
    "lazarus_tick": "PT1S",
    "lazarus_spread": "PT0S",
    # Longer than a process needs to start on a busy machine, or he revives it twice.
    "lazarus_after": f"PT{2 * SILENCE}S",
}

# Each task notes that it ran. `dies` notes its process too, and the first time waits there to be killed.
REGISTER = """
    import os, pathlib, time
    from datetime import timedelta

    import prefect
    from prefect import Client, Flow, task
    from prefect.triggers import all_finished

    notes = pathlib.Path({notes!r})

    def note(what):
        with notes.open("a") as file:
            file.write(prefect.context.flow_name + " " + what + "\\n")

    @task
    def before():
        note("before")

    def dies():
        first = (prefect.context.flow_name + " dies") not in notes.read_text()
        note("dies %d" % os.getpid())
        while first:
            time.sleep(0.1)

    @task(trigger=all_finished)
    def after():
        note("after")

    client = Client()
    client.create_project("safeguards")
    notes.touch()
    flows = {{}}
    for name, retries in (("retried", 1), ("revived", 0), ("unguarded", 0), ("left", 0)):
        options = dict(max_retries=1, retry_delay=timedelta(seconds=1)) if retries else {{}}
        deadly = task(dies, name="dies", **options)
        with Flow(name) as flow:
            last = after(upstream_tasks=[deadly(upstream_tasks=[before()])])
        flow.set_reference_tasks([last])
        flows[name] = flow.register(project_name="safeguards")
    answer(flows)
"""


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Headwater]:
    async with Headwater(tmp_path_factory.mktemp("safeguards"), **IMPATIENT) as running:
        yield running


@pytest.fixture(scope="module")
async def api(server: Headwater) -> AsyncIterator[Gql]:
    async with Gql(server.url) as gql:
        yield gql


@pytest.fixture(scope="module")
async def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tasks wrote down."""
    return tmp_path_factory.mktemp("notes") / "notes"


@pytest.fixture(scope="module")
async def runs(
    server: Headwater, api: Gql, notes: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, str]]:
    """A run of each flow, whose process was killed while its task ran. An agent waits for more."""
    home = tmp_path_factory.mktemp("home")
    client = await PrefectClient.installed(
        "1.4.1", url=server.url, home=home, PREFECT__CLOUD__HEARTBEAT_INTERVAL="2"
    )
    flows = await client.answer(REGISTER.format(notes=str(notes)))
    await toggle(api, flows)
    create = "mutation($id: UUID!) { create_flow_run(input: {flow_id: $id}) { id } }"
    started = {
        name: (await api(create, id=flow))["create_flow_run"]["id"] for name, flow in flows.items()
    }
    async with client.agent() as agent:
        asking = asyncio.create_task(_asks_often(agent))
        try:
            for name in flows:
                kill_with_children(await at_work(notes, name))
            yield started
        finally:
            asking.cancel()


async def toggle(api: Gql, flows: dict[str, str]) -> None:
    """The old dialect and the new one, to and fro: what was said last holds."""
    off = "mutation($id: UUID!) { disableFlowHeartbeat(input: {flowId: $id, value: true}) { success } }"
    on = "mutation($id: UUID!) { enable_flow_heartbeat(input: {flow_id: $id}) { success } }"
    await api(off, id=flows["unguarded"])
    await api(off, id=flows["revived"])
    await api(on, id=flows["revived"])
    off = "mutation($id: UUID!) { disable_flow_lazarus_process(input: {flow_id: $id}) { success } }"
    on = "mutation($id: UUID!) { disableLazarusForFlow(input: {flowId: $id, value: false}) { success } }"
    await api(off, id=flows["left"])
    await api(off, id=flows["revived"])
    await api(on, id=flows["revived"])


async def _asks_often(agent: Any) -> None:
    while True:
        await agent.poke()
        await asyncio.sleep(1)


def noted(notes: Path, flow: str, what: str) -> list[str]:
    """What the flow's tasks noted, by the first word."""
    lines = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
    return [words[-1] for words in lines if words[:2] == [flow, what]]


async def at_work(notes: Path, flow: str) -> int:
    """The process that runs the flow's deadly task."""
    return int((await eventually(lambda: noted(notes, flow, "dies"), timeout=WITHIN))[0])


def kill_with_children(pid: int) -> None:
    """kill -9 of a flow's process, and of the one that pings for it."""
    process = psutil.Process(pid)
    for each in [*process.children(recursive=True), process]:
        with suppress(psutil.NoSuchProcess):
            each.kill()


async def ended(api: Gql, run_id: str) -> dict[str, Any]:
    """The run, when it has come to its end."""
    query = """
    query($id: uuid!) {
      flow_run_by_pk(id: $id) {
        id state state_message times_resurrected logs { message }
        task_runs { id state state_message task { name } }
      }
    }"""

    async def at_its_end() -> dict[str, Any]:
        run: dict[str, Any] = (await api(query, id=run_id))["flow_run_by_pk"]
        assert is_finished(run["state"]), run
        run["messages"] = {log["message"] for log in run["logs"]}
        run["task"] = {task["task"]["name"]: task for task in run["task_runs"]}
        return run

    return await eventually(at_its_end, timeout=WITHIN, pause=LOOK)


async def test_a_task_whose_process_died_is_retried_and_the_run_finishes(
    api: Gql, runs: dict[str, str], notes: Path
) -> None:
    run = await ended(api, runs["retried"])

    assert run["state"] == "Success"
    assert run["task"]["dies"]["state"] == "Success"
    assert (
        "No heartbeat detected from the remote task; retrying the run. This will be retry 1 of 1."
        in run["messages"]
    )
    assert any("The last heartbeat of this run was received at" in m for m in run["messages"])
    assert len(noted(notes, "retried", "before")) == 1, "a finished task was repeated"
    assert len(noted(notes, "retried", "dies")) == 2


async def test_lazarus_brings_a_run_back_and_it_finishes_without_repeating_a_task(
    api: Gql, runs: dict[str, str], notes: Path
) -> None:
    run = await ended(api, runs["revived"])

    assert run["state"] == "Success"
    assert run["times_resurrected"] >= 1
    assert "Rescheduled by a Lazarus process. This is attempt 1." in run["messages"]
    dead = run["task"]["dies"]
    assert (dead["state"], dead["state_message"]) == (
        "Failed",
        "No heartbeat detected from the remote task; "
        f"marking the task run {dead['id']} (dies) as failed.",
    )
    assert len(noted(notes, "revived", "before")) == 1, "a finished task was repeated"
    assert len(noted(notes, "revived", "dies")) == 1
    assert noted(notes, "revived", "after")


async def test_with_lazarus_off_the_run_is_failed(api: Gql, runs: dict[str, str]) -> None:
    run = await ended(api, runs["left"])

    assert (run["state"], run["state_message"]) == (
        "Failed",
        "No heartbeat detected from the flow run; marking the run as failed.",
    )
    assert run["times_resurrected"] == 0
    assert run["task"]["dies"]["state"] == "Failed"


async def test_with_heartbeats_off_nothing_happens(api: Gql, runs: dict[str, str]) -> None:
    for other in ("retried", "revived", "left"):
        await ended(api, runs[other])  # the safeguards have done all that they would

    found = (
        await api(
            "query($id: uuid!) { flow_run_by_pk(id: $id)"
            " { state times_resurrected task_runs { state task { name } } } }",
            id=runs["unguarded"],
        )
    )["flow_run_by_pk"]

    assert found["state"] == "Running"
    assert found["times_resurrected"] == 0
    assert {task["task"]["name"]: task["state"] for task in found["task_runs"]}["dies"] == "Running"
