"""headwater-agent with the real prefect package on a whole Headwater."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.headwater import LOOK, STOP_WITHIN, Headwater
from tests.support.prefect_client import PrefectClient

pytestmark = [pytest.mark.client, pytest.mark.slow]

FLOWS = """
    from datetime import timedelta
    import os
    import signal
    import time

    import prefect
    from prefect import Client, Flow, task
    from prefect.run_configs import UniversalRun

    @task
    def talk():
        prefect.context.get("logger").info("logged\\nin two lines")
        print("printed")
        return 42

    @task(max_retries=2, retry_delay=timedelta(seconds=1))
    def second_time_lucky():
        if prefect.context.get("task_run_count", 1) == 1:
            raise ConnectionError("busy")

    @task
    def explode():
        raise ValueError("out of paper")

    @task
    def sleep_for_ever():
        while True:
            time.sleep(0.1)

    @task
    def leave_with_zero():
        os._exit(0)

    @task
    def be_killed():
        os.kill(os.getpid(), signal.SIGKILL)

    client = Client()
    client.create_project("native")
    runs = {}
    for function in (talk, second_time_lucky, explode, leave_with_zero, be_killed, sleep_for_ever):
        config = UniversalRun(labels=["native"])
        with Flow(function.name, run_config=config) as flow:
            function()
        flow_id = flow.register(project_name="native")
        runs[flow.name] = client.create_flow_run(flow_id=flow_id)
    answer(runs)
"""


@pytest.fixture(scope="module")
async def log(
    headwater: Headwater, client: PrefectClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Path]:
    """What a running native agent says."""
    folder = tmp_path_factory.mktemp("native")
    log = folder / "agent.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "libs.agent", "start", "--label", "native", "--capacity", "4"),
            *("--data", str(headwater.folder / "data"), "--state", str(folder / "state")),
            *("--python", str(client.environment.python)),
            env=os.environ
            | {
                "PREFECT__HOME_DIR": str(client.home),
                "PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL": "300",
            },
            stdout=output,
            stderr=STDOUT,
        )
    try:
        yield log
    finally:
        for path in (folder / "state").glob("runs/*/pid"):
            with suppress(ProcessLookupError, ValueError):
                os.killpg(int(path.read_text()), signal.SIGKILL)
        await _stop(process)


async def _stop(process: Process) -> None:
    """Let the agent take its claim back. One that is killed is given the next due run of this machine before the
    ledger hears that it has gone, and the run of another file's test has two states more.
    """
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN)
    finally:
        with suppress(ProcessLookupError):
            process.kill()


@pytest.fixture(scope="module")
async def runs(client: PrefectClient, log: Path) -> dict[str, str]:
    started: dict[str, str] = await client.answer(FLOWS)
    return started


async def state_is(api: Gql, run_id: str, state: str) -> dict[str, Any]:
    query = """
    query($id: uuid!) {
      flow_run_by_pk(id: $id) {
        state states(order_by: {version: asc}) { state } logs { name message }
        task_runs { state }
      }
    }"""

    async def probe() -> dict[str, Any]:
        found: dict[str, Any] = (await api(query, id=run_id))["flow_run_by_pk"]
        assert found["state"] == state, found
        return found

    return await eventually(probe, timeout=240, pause=LOOK)


async def test_a_flow_runs_to_success_and_says_everything_once(
    api: Gql, runs: dict[str, str]
) -> None:
    await state_is(api, runs["talk"], "Success")

    async def said() -> bool:
        found = await state_is(api, runs["talk"], "Success")
        messages = [(line["name"], line["message"]) for line in found["logs"]]
        assert messages.count(("prefect.talk", "logged\nin two lines")) == 1, messages
        assert messages.count(("stdout", "printed")) == 1
        assert [m for name, m in messages if name == "stdout"] == ["printed"]
        assert any(m.startswith("Submitted for execution: PID: ") for _, m in messages)
        return True

    await eventually(said, timeout=60, pause=LOOK)


async def test_a_task_is_retried_and_a_failure_fails(api: Gql, runs: dict[str, str]) -> None:
    await state_is(api, runs["second_time_lucky"], "Success")
    failed = await state_is(api, runs["explode"], "Failed")

    assert [s["state"] for s in failed["states"]] == ["Scheduled", "Submitted", "Running", "Failed"]


@pytest.mark.parametrize(
    ("flow", "end"),
    [("leave_with_zero", "ended with exit code 0."), ("be_killed", "was ended by signal 9.")],
)
async def test_a_run_whose_process_left_its_task_running_comes_back_and_ends(
    api: Gql, runs: dict[str, str], flow: str, end: str
) -> None:
    ended = await state_is(api, runs[flow], "Failed")

    attempt = ["Scheduled", "Submitted", "Running"]
    assert [s["state"] for s in ended["states"]] == [*attempt, *attempt, "Failed"]
    assert [task["state"] for task in ended["task_runs"]] == ["Failed"]
    said = f"The flow run's process {end} The run is rescheduled. This is attempt 1."
    assert said in [line["message"] for line in ended["logs"]]


async def test_a_cancelled_flow_stops_without_waiting_for_its_own_next_look(
    api: Gql, runs: dict[str, str]
) -> None:
    await state_is(api, runs["sleep_for_ever"], "Running")
    await api(
        "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }",
        id=runs["sleep_for_ever"],
    )

    found = await state_is(api, runs["sleep_for_ever"], "Cancelled")

    assert {task["state"] for task in found["task_runs"]} == {"Cancelled"}


async def test_a_process_whose_run_was_restarted_meanwhile_is_refused(
    headwater: Headwater, api: Gql, client: PrefectClient
) -> None:
    run_id = await client.answer("""
        from prefect import Client, Flow, task
        from prefect.run_configs import UniversalRun

        @task
        def nothing():
            pass

        with Flow("fenced", run_config=UniversalRun(labels=["nobody"])) as flow:
            nothing()
        Client().create_project("fenced")
        answer(Client().create_flow_run(flow_id=flow.register(project_name="fenced")))
    """)
    stale = f"/lease/{run_id}/00000000-0000-7000-8000-000000000000"
    mutation = """
    mutation($s: [set_flow_run_state_input!]!) {
      set_flow_run_states(input: {states: $s}) { states { status } }
    }"""
    variables = {"s": [{"flow_run_id": run_id, "state": {"type": "Running"}}]}

    refused = (await api.post({"query": mutation, "variables": variables}, path=stale)).json()

    assert "handed to another agent" in refused["errors"][0]["message"]
    await state_is(api, run_id, "Scheduled")
