"""Clients of seven years: each registers a flow, and its own agent runs it to the end."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.clients import install
from libs.contracts.states import is_finished
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.headwater import LOOK, Headwater
from tests.support.prefect_client import PrefectClient

pytestmark = [pytest.mark.client, pytest.mark.slow]

OLDER = [version for version in install.versions() if version != "1.4.1"]

# What the generations have in common, and their three ways to say where a flow is and who may run it.
SCRIPT = """
    from datetime import timedelta

    import prefect
    from prefect import Client, Flow, Parameter, task

    try:
        from prefect.storage import Local
    except ImportError:
        from prefect.environments.storage import Local

    @task
    def double(x):
        return 2 * x

    # Without input: Core 0.8 can retry only what it can store.
    @task(max_retries=2, retry_delay=timedelta(seconds=1))
    def second_time_lucky():
        if prefect.context.get("task_run_count", 1) == 1:
            raise ConnectionError("busy")

    @task
    def total(xs):
        prefect.context.get("logger").info("the sum is %d", sum(xs))

    with Flow("generation") as flow:
        total(double.map(Parameter("numbers", default=[1, 2])), upstream_tasks=[second_time_lucky])

    flow.storage = Local()
    try:
        from prefect.run_configs import LocalRun
        flow.run_config = LocalRun(labels=["{label}"])
    except ImportError:
        from prefect.environments import LocalEnvironment
        flow.environment = LocalEnvironment(labels=["{label}"])

    client = Client()
    client.create_project("generations {label}")
    flow_id = flow.register(project_name="generations {label}")
    answer(client.create_flow_run(flow_id=flow_id, parameters={{"numbers": [1, 2, 18]}}))
"""

RUN = """
query($id: uuid!) {
  flow_run_by_pk(id: $id) {
    state version parameters
    states(order_by: {version: asc}) { state version }
    task_runs(order_by: {map_index: asc}) {
      map_index state task { name } states(order_by: {timestamp: asc}) { state }
    }
    logs { message }
  }
}"""


@pytest.mark.parametrize("version", OLDER)
async def test_a_client_of_that_year_registers_and_its_agent_runs_to_success(
    version: str,
    headwater: Headwater,
    api: Gql,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("home")
    client = PrefectClient.installed(version, url=headwater.url, home=home)
    run_id = await client.answer(SCRIPT.format(label=f"v{version}"))

    async def at_its_end() -> dict[str, Any]:
        run: dict[str, Any] = (await api(RUN, id=run_id))["flow_run_by_pk"]
        assert is_finished(run["state"]), run
        assert "the sum is 42" in [log["message"] for log in run["logs"]], run["logs"]
        return run

    async with client.agent("--label", f"v{version}"):
        run = await eventually(at_its_end, timeout=90, pause=LOOK)

    assert run["state"] == "Success"
    assert run["parameters"] == {"numbers": [1, 2, 18]}
    assert [state["version"] for state in run["states"]] == [*range(1, run["version"] + 1)]
    assert [state["state"] for state in run["states"]] == [
        "Scheduled",
        "Submitted",
        "Running",
        "Success",
    ]
    doubles = [task for task in run["task_runs"] if task["task"]["name"] == "double"]
    assert [(task["map_index"], task["state"]) for task in doubles] == [
        (-1, "Mapped"),
        (0, "Success"),
        (1, "Success"),
        (2, "Success"),
    ]
    (lucky,) = [task for task in run["task_runs"] if task["task"]["name"] == "second_time_lucky"]
    assert "Retrying" in [state["state"] for state in lucky["states"]]
    assert lucky["state"] == "Success"
