"""Runs of a real client under a real agent: what they do, and what is remembered of them.

All flows are registered and started at the beginning, by one script, so that they run while the
tests wait for theirs; each test looks at one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from libs.contracts.states import is_finished
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.headwater import LOOK
from tests.support.prefect_client import Agent, PrefectClient

pytestmark = [pytest.mark.client, pytest.mark.slow]

# Nine runs on two cores, each of which imports Prefect in a process of its own.
RUN_WITHIN = 240.0

START = """
    from datetime import timedelta
    import time

    import pendulum
    import prefect
    from prefect import Client, Flow, Parameter, task
    from prefect.executors import LocalDaskExecutor
    from prefect.schedules import IntervalSchedule

    @task
    def add(x, y):
        return x + y

    @task
    def double(x):
        return 2 * x

    @task
    def total(xs):
        return sum(xs)

    @task(max_retries=2, retry_delay=timedelta(seconds=1))
    def second_time_lucky():
        if prefect.context.get("task_run_count", 1) == 1:
            raise ConnectionError("busy")
        return "lucky"

    @task
    def explode():
        raise ValueError("out of paper")

    @task
    def sleep_for_ever():
        while True:
            time.sleep(0.2)

    @task(tags=["one at a time"])
    def load(x):
        time.sleep(2)  # the others have asked for the slot by then, however busy the machine is
        return x

    @task
    def talk():
        logger = prefect.context.get("logger")
        logger.info("first words")
        logger.warning("second words, with an umlaut: ü")
        logger.error("last words")

    with Flow("sum") as sums:
        add(Parameter("x"), Parameter("y", default=4))
    with Flow("mapped") as mapped:
        total(double.map(Parameter("numbers", default=[1, 2, 3])))
    with Flow("retried") as retried:
        second_time_lucky()
    with Flow("broken") as broken:
        double(explode())
    with Flow("endless") as endless:
        sleep_for_ever()
    with Flow("talkative") as talkative:
        talk()
    with Flow("limited", executor=LocalDaskExecutor(scheduler="threads", num_workers=3)) as limited:
        load.map([1, 2, 3])

    client = Client()
    client.update_task_tag_limit("one at a time", 1)
    assert client.get_task_tag_limit("one at a time") == 1
    client.create_project("runs")
    flows = {}
    runs = {}
    for flow in (sums, mapped, retried, broken, endless, talkative, limited):
        flows[flow.name] = flow.register(project_name="runs")
        runs[flow.name] = client.create_flow_run(
            flow_id=flows[flow.name],
            parameters={"x": 38} if flow is sums else None,
            run_name=flow.name + " of the day",
        )
    # Its first instant must still be ahead when the scheduler hears of it, however busy the machine is: an instant that
    # has passed is not made up for. Who waits for it has other runs to look at first.
    schedule = IntervalSchedule(
        start_date=pendulum.now("UTC").add(seconds=30), interval=timedelta(hours=1)
    )
    with Flow("clockwork", schedule=schedule) as clockwork:
        double(21)
    flows["clockwork"] = clockwork.register(project_name="runs")
    answer({"flows": flows, "runs": runs})
"""


@pytest.fixture(scope="module")
async def day(client: PrefectClient, agent: Agent) -> dict[str, dict[str, str]]:
    """Ids of all flows, and of the runs created by hand."""
    started: dict[str, dict[str, str]] = await client.answer(START)
    await agent.poke()
    return started


async def finished(api: Gql, run_id: str) -> dict[str, Any]:
    """The flow run, once it has come to its end."""
    query = """
    query($id: uuid!) {
      flow_run_by_pk(id: $id) {
        id name state state_message parameters auto_scheduled version start_time end_time
        states(order_by: {version: asc}) { state version }
        task_runs(order_by: [{task: {slug: asc}}, {map_index: asc}]) {
          id map_index state task { slug } states(order_by: {timestamp: asc}) { state }
        }
      }
    }"""

    async def at_its_end() -> dict[str, Any]:
        run: dict[str, Any] = (await api(query, id=run_id))["flow_run_by_pk"]
        assert is_finished(run["state"]), f"{run['name']} is {run['state']}"
        return run

    return await eventually(at_its_end, timeout=RUN_WITHIN, pause=LOOK)


async def test_an_ad_hoc_run_succeeds_with_its_parameters_over_the_defaults(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["sum"])

    assert run["state"] == "Success"
    assert run["name"] == "sum of the day"
    assert run["parameters"] == {"x": 38, "y": 4}
    assert run["auto_scheduled"] is False
    assert run["start_time"] < run["end_time"]


async def test_a_run_keeps_each_of_its_states_with_versions_without_a_gap(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["sum"])

    assert [(state["version"], state["state"]) for state in run["states"]] == [
        (1, "Scheduled"),
        (2, "Submitted"),
        (3, "Running"),
        (4, "Success"),
    ]
    assert run["version"] == 4


async def test_the_result_of_a_run_can_be_loaded_by_the_client(
    client: PrefectClient, api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["sum"])

    result, states = await client.answer(f"""
        from prefect.backend import FlowRunView
        view = FlowRunView.from_flow_run_id("{run["id"]}")
        results = [t.get_result() for t in view.get_all_task_runs() if t.task_slug == "add-1"]
        answer([results, [type(state).__name__ for state in view.states]])
    """)

    assert result == [42]
    assert sorted(states) == ["Running", "Scheduled", "Submitted", "Success"]


async def test_every_child_of_a_mapped_task_has_a_run_of_its_own(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["mapped"])

    assert run["state"] == "Success"
    doubles = [task for task in run["task_runs"] if task["task"]["slug"] == "double-1"]
    assert [(task["map_index"], task["state"]) for task in doubles] == [
        (-1, "Mapped"),
        (0, "Success"),
        (1, "Success"),
        (2, "Success"),
    ]


async def test_a_task_that_fails_once_is_retried_to_success(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["retried"])

    assert run["state"] == "Success"
    (task,) = run["task_runs"]
    assert [state["state"] for state in task["states"]] == [
        "Pending",
        "Running",
        "Failed",
        "Retrying",
        "Running",
        "Success",
    ]


async def test_mapped_children_under_a_tag_limit_of_one_run_one_after_the_other(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["limited"])

    spans = await api(
        """query($id: uuid!) { task_run(where: {flow_run_id: {_eq: $id}, map_index: {_gte: 0}},
        order_by: {start_time: asc}) { state start_time end_time states { state } } }""",
        id=run["id"],
    )
    children = spans["task_run"]
    assert [child["state"] for child in children] == ["Success"] * 3
    for one, next_one in pairwise(children):
        assert one["end_time"] <= next_one["start_time"]
    # All three began at once, so at least one of them was told to wait.
    assert "Queued" in {state["state"] for child in children for state in child["states"]}


async def test_a_flow_whose_task_raises_ends_failed_and_so_does_what_depends_on_it(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["broken"])

    assert run["state"] == "Failed"
    assert {task["task"]["slug"]: task["state"] for task in run["task_runs"]} == {
        "double-1": "TriggerFailed",
        "explode-1": "Failed",
    }


async def under_way(api: Gql, run_id: str) -> dict[str, Any]:
    """The flow run, once it is running and has been heard of."""
    query = "query($id: uuid!) { flow_run_by_pk(id: $id) { state start_time heartbeat } }"

    async def running() -> dict[str, Any]:
        run: dict[str, Any] = (await api(query, id=run_id))["flow_run_by_pk"]
        assert run["state"] == "Running"
        assert run["heartbeat"] is not None
        return run

    return await eventually(running, timeout=RUN_WITHIN, pause=LOOK)


async def test_a_run_in_progress_shows_when_it_was_last_heard_of(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run = await under_way(api, day["runs"]["endless"])

    assert run["heartbeat"] >= run["start_time"]


async def test_a_cancelled_run_is_stopped_by_its_client_and_ends_cancelled(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    run_id = day["runs"]["endless"]
    await under_way(api, run_id)

    cancel = "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }"
    answered = await api(cancel, id=run_id)
    run = await finished(api, run_id)

    assert answered["cancel_flow_run"]["state"] == "Cancelling"
    assert run["state"] == "Cancelled"
    assert {task["state"] for task in run["task_runs"]} == {"Cancelled"}


async def test_what_a_task_logs_is_read_back_in_order(
    api: Gql, client: PrefectClient, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["talkative"])
    query = """
    query($id: uuid!) {
      flow_run_by_pk(id: $id) {
        logs(where: {name: {_eq: "prefect.talk"}}, order_by: {timestamp: asc}) { level message }
      }
    }"""

    async def all_said() -> bool:
        logs = (await api(query, id=run["id"]))["flow_run_by_pk"]["logs"]
        assert [(log["level"], log["message"]) for log in logs] == [
            ("INFO", "first words"),
            ("WARNING", "second words, with an umlaut: ü"),
            ("ERROR", "last words"),
        ]
        return True

    # The client uploads logs every five seconds and as it exits.
    await eventually(all_said, timeout=30, pause=LOOK)
    shown = (await client.cli("get", "logs", "--id", run["id"])).output
    assert shown.index("first words") < shown.index("last words")


async def test_the_agent_that_took_a_run_is_remembered_with_it(
    api: Gql, agent: Agent, day: dict[str, dict[str, str]]
) -> None:
    run = await finished(api, day["runs"]["sum"])
    query = """
    query($id: uuid!) { flow_run_by_pk(id: $id) { agent { type last_queried } } }"""

    taken_by = (await api(query, id=run["id"]))["flow_run_by_pk"]["agent"]

    assert taken_by["type"] == "LocalAgent"
    assert taken_by["last_queried"] is not None


async def test_a_scheduled_run_starts_by_itself_and_its_schedule_goes_on(
    api: Gql, agent: Agent, day: dict[str, dict[str, str]]
) -> None:
    query = """
    query($id: uuid!) {
      flow_run(where: {flow_id: {_eq: $id}}, order_by: {scheduled_start_time: asc}) {
        id state auto_scheduled scheduled_start_time
      }
    }"""

    async def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await api(query, id=day["flows"]["clockwork"]))["flow_run"]
        return found

    first = (await eventually(runs, timeout=30, pause=LOOK))[0]
    run = await finished(api, first["id"])

    assert run["state"] == "Success"
    assert run["auto_scheduled"] is True
    assert run["start_time"] >= first["scheduled_start_time"]

    async def ten_ahead() -> bool:
        _, *later = await runs()
        assert [(one["state"], one["auto_scheduled"]) for one in later] == [
            ("Scheduled", True)
        ] * 10
        return True

    await eventually(ten_ahead, timeout=90, pause=LOOK)


async def test_the_same_idempotency_key_gives_the_same_run(
    client: PrefectClient, day: dict[str, dict[str, str]]
) -> None:
    ids = await client.answer(f"""
        import pendulum
        from prefect import Client
        tomorrow = pendulum.now("UTC").add(days=1)
        answer([
            Client().create_flow_run(
                flow_id="{day["flows"]["mapped"]}", idempotency_key=key, scheduled_start_time=tomorrow
            )
            for key in ("order 7", "order 7", "order 8")
        ])
    """)

    assert ids[0] == ids[1] != ids[2]


async def test_a_run_without_its_required_parameter_is_refused_by_its_name(
    api: Gql, day: dict[str, dict[str, str]]
) -> None:
    create = "mutation($id: UUID!) { create_flow_run(input: {flow_id: $id}) { id } }"

    errors = await api.errors(create, id=day["flows"]["sum"])

    assert "x" in errors[0]["message"]
    assert "parameter" in errors[0]["message"].lower()


async def test_prefect_get_flow_runs_lists_them(
    client: PrefectClient, api: Gql, day: dict[str, dict[str, str]]
) -> None:
    await finished(api, day["runs"]["sum"])

    listed = (await client.cli("get", "flow-runs", "--flow", "sum")).output
    described = (await client.cli("describe", "flow-runs", "--name", "sum of the day")).output

    (row,) = [line for line in listed.splitlines() if "sum of the day" in line]
    assert "Success" in row
    assert "Success" in described


async def test_prefect_run_watches_a_run_to_its_end(
    client: PrefectClient, agent: Agent, day: dict[str, dict[str, str]]
) -> None:
    watched = await client.cli(
        *("run", "--project", "runs", "--name", "talkative", "--watch"), within=RUN_WITHIN
    )

    # Not its logs: the client uploads them as it exits, when the watcher may have gone home.
    assert "Entered state <Running>" in watched.output
    assert "Flow run succeeded" in watched.output


async def test_a_flow_can_run_another_and_wait_for_it(
    client: PrefectClient, api: Gql, agent: Agent, day: dict[str, dict[str, str]]
) -> None:
    run_id = await client.answer("""
        from prefect import Client, Flow
        from prefect.tasks.prefect import create_flow_run, get_task_run_result, wait_for_flow_run

        with Flow("parent") as flow:
            child = create_flow_run(flow_name="sum", project_name="runs", parameters={"x": 1})
            done = wait_for_flow_run(child, raise_final_state=True)
            get_task_run_result(child, task_slug="add-1", upstream_tasks=[done])

        answer(Client().create_flow_run(flow_id=flow.register(project_name="runs")))
    """)
    await agent.poke()

    run = await finished(api, run_id)

    assert run["state"] == "Success"
    query = """
    { flow_run(where: {flow: {name: {_eq: "sum"}}, parameters: {_contains: {x: 1}}}) { state } }"""
    assert (await api(query))["flow_run"] == [{"state": "Success"}]
