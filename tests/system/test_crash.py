"""kill -9 of the whole server at any moment, and start again: what was acknowledged is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
import pytest

from libs.contracts.states import is_finished
from tests.support.eventually import eventually
from tests.support.gql import Gql, UnexpectedErrorsError
from tests.support.headwater import LOOK, Headwater
from tests.support.prefect_client import PrefectClient

pytestmark = [pytest.mark.client, pytest.mark.slow]


@pytest.fixture(scope="module")
async def mortal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Headwater]:
    """A server of this module's own, to be killed."""
    async with Headwater(tmp_path_factory.mktemp("mortal")) as server:
        yield server


@pytest.fixture(scope="module")
async def client(mortal: Headwater, tmp_path_factory: pytest.TempPathFactory) -> PrefectClient:
    home = tmp_path_factory.mktemp("home")
    return await PrefectClient.installed("1.4.1", url=mortal.url, home=home)


@pytest.fixture(scope="module")
async def flow_id(client: PrefectClient) -> str:
    registered: str = await client.answer("""
        from prefect import Client, Flow, task

        @task
        def step():
            pass

        Client().create_project("crash")
        answer(Flow("survivor", tasks=[step]).register(project_name="crash"))
    """)
    return registered


class Writer:
    """Creates runs, moves them and logs to them, noting what was acknowledged, until it cannot."""

    def __init__(self, api: Gql, flow_id: str) -> None:
        self._api = api
        self._flow_id = flow_id
        self.states: dict[str, list[str]] = {}
        self.logs: dict[str, str] = {}

    async def write(self) -> None:
        try:
            while True:
                await self._one_run()
        except (httpx.HTTPError, ValueError, UnexpectedErrorsError):
            return

    async def _one_run(self) -> None:
        create = "mutation($id: UUID!) { create_flow_run(input: {flow_id: $id}) { id } }"
        run_id = (await self._api(create, id=self._flow_id))["create_flow_run"]["id"]
        acknowledged = self.states[run_id] = ["Scheduled"]
        for state in ("Submitted", "Running", "Success"):
            await self._move(run_id, state)
            acknowledged.append(state)
        await self._log(run_id, "done")
        self.logs[run_id] = "done"

    async def _move(self, run_id: str, state: str) -> None:
        mutation = """
        mutation($input: set_flow_run_states_input!) {
          set_flow_run_states(input: $input) { states { id status } }
        }"""
        proposal: dict[str, Any] = {"flow_run_id": run_id, "state": {"type": state}}
        await self._api(mutation, input={"states": [proposal]})

    async def _log(self, run_id: str, message: str) -> None:
        mutation = """
        mutation($input: write_run_logs_input!) {
          write_run_logs(input: $input) { success }
        }"""
        await self._api(mutation, input={"logs": [{"flow_run_id": run_id, "message": message}]})


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed_at_work(
    mortal: Headwater, flow_id: str
) -> None:
    async with Gql(mortal.url) as api:
        writers = [Writer(api, flow_id) for _ in range(8)]
        working = asyncio.gather(*(writer.write() for writer in writers))

        async def well_under_way() -> bool:
            assert sum(len(writer.logs) for writer in writers) >= 40
            return True

        await eventually(well_under_way, timeout=120)
        await mortal.kill()
        await working
        await mortal.start()

        acknowledged = {run: states for w in writers for run, states in w.states.items()}
        logged = {run: message for w in writers for run, message in w.logs.items()}
        query = """
        query($ids: [uuid!]!) {
          flow_run(where: {id: {_in: $ids}}) {
            id version state states(order_by: {version: asc}) { state version }
            task_runs { state } logs { message }
          }
        }"""

        async def all_there() -> bool:
            runs = (await api(query, ids=list(acknowledged)))["flow_run"]
            assert {run["id"] for run in runs} == set(acknowledged)
            for run in runs:
                names = [state["state"] for state in run["states"]]
                # One more than acknowledged may have been written when the answer was cut off.
                assert names[: len(acknowledged[run["id"]])] == acknowledged[run["id"]]
                assert len(names) <= len(acknowledged[run["id"]]) + 1
                assert [state["version"] for state in run["states"]] == [*range(1, len(names) + 1)]
                assert (run["version"], run["state"]) == (len(names), names[-1])
                assert len(run["task_runs"]) == 1
            messages = {run["id"]: [log["message"] for log in run["logs"]] for run in runs}
            assert all(message in messages[run] for run, message in logged.items())
            return True

        # Logs wait in the bus for their batch; the rest is there at once.
        await eventually(all_there, timeout=120, pause=LOOK)


PATIENT = """
    import time
    from prefect import Client, Flow, task

    @task
    def step(i):
        time.sleep(2)
        return i

    with Flow("patient") as flow:
        last = step(0)
        for i in range(4):
            last = step(i, upstream_tasks=[last])

    Client().create_project("crash")
    answer(Client().create_flow_run(flow_id=flow.register(project_name="crash")))
"""


class Patient:
    """A real run of ten seconds that is under way, to be disturbed."""

    def __init__(self, api: Gql, run_id: str) -> None:
        self._api = api
        self._run_id = run_id

    @classmethod
    @asynccontextmanager
    async def under_way(cls, server: Headwater, client: PrefectClient) -> AsyncIterator[Self]:
        """Start it; the body begins when its first task has succeeded."""
        async with Gql(server.url) as api, client.agent() as agent:
            patient = cls(api, await client.answer(PATIENT))
            await agent.poke()

            async def in_the_middle() -> bool:
                tasks = (await patient.run())["task_runs"]
                assert "Success" in {task["state"] for task in tasks}
                return True

            await eventually(in_the_middle, timeout=240, pause=LOOK)
            yield patient

    async def run(self) -> dict[str, Any]:
        query = """
        query($id: uuid!) {
          flow_run_by_pk(id: $id) {
            state
            task_runs {
              state
              states_aggregate(where: {state: {_eq: "Running"}}) { aggregate { count } }
            }
          }
        }"""
        found: dict[str, Any] = (await self._api(query, id=self._run_id))["flow_run_by_pk"]
        return found

    async def succeeds_with_each_task_run_once(self) -> None:
        async def at_its_end() -> dict[str, Any]:
            found = await self.run()
            assert is_finished(found["state"]), found["state"]
            return found

        ended = await eventually(at_its_end, timeout=240, pause=LOOK)
        assert ended["state"] == "Success"
        assert {task["state"] for task in ended["task_runs"]} == {"Success"}
        starts = [task["states_aggregate"]["aggregate"]["count"] for task in ended["task_runs"]]
        assert starts == [1] * 5


async def test_a_run_in_progress_outlives_its_server(
    mortal: Headwater, client: PrefectClient
) -> None:
    async with Patient.under_way(mortal, client) as patient:
        await mortal.kill()
        await mortal.start()

        # The client waits up to a minute for an API that is gone.
        await patient.succeeds_with_each_task_run_once()


@pytest.mark.parametrize("engine", ["postgres", "nats-server"])
async def test_a_run_in_progress_outlives_an_engine(
    engine: str, mortal: Headwater, client: PrefectClient
) -> None:
    async with Patient.under_way(mortal, client) as patient:
        mortal.kill_engine(engine)

        # Requests in between are answered API_ERROR, at which the client sends them again.
        await patient.succeeds_with_each_task_run_once()


async def test_a_registration_that_was_cut_off_leaves_no_half_flow(
    mortal: Headwater, client: PrefectClient
) -> None:
    async with Gql(mortal.url) as api:
        registering = asyncio.create_task(
            client.python(
                """
                from prefect import Client, Flow, task

                @task
                def one():
                    return 1

                with Flow("cut off") as flow:
                    for _ in range(400):
                        one()

                Client().create_project("crash")
                serialized = flow.serialize()
                while True:
                    Client().graphql(
                        "mutation($p: UUID!, $f: JSON!) {"
                        " create_flow(input: {project_id: $p, serialized_flow: $f}) { id } }",
                        variables={"p": Client().graphql(
                            'query { project(where: {name: {_eq: "crash"}}) { id } }'
                        ).data.project[0].id, "f": serialized},
                    )
                """,
                check=False,
                within=180,
            )
        )
        query = """
        { flow(where: {name: {_eq: "cut off"}}) {
            version archived tasks_aggregate { aggregate { count } }
        } }"""

        async def some_versions() -> bool:
            assert len((await api(query))["flow"]) >= 3
            return True

        await eventually(some_versions, timeout=180, pause=LOOK)
        await mortal.kill()
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)
        await mortal.start()

        flows = (await api(query))["flow"]

    assert {flow["tasks_aggregate"]["aggregate"]["count"] for flow in flows} == {400}
    assert [flow["archived"] for flow in flows].count(False) == 1
