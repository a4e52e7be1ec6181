"""Projects, registration, versions and the archive, as a user of prefect 1.4.1 meets them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.headwater import LOOK
from tests.support.prefect_client import PrefectClient

pytestmark = [pytest.mark.client, pytest.mark.slow]

VERSIONS = """
query($name: String!) {
  flow(where: {name: {_eq: $name}}, order_by: {version: asc}) {
    id version archived version_group_id
  }
}"""

WAITING = """
query($flow_id: uuid!) {
  flow_run(where: {
    flow_id: {_eq: $flow_id}, state: {_eq: "Scheduled"}, auto_scheduled: {_eq: true}
  }) { id }
}"""


async def test_a_registered_flow_has_its_parameters_tasks_and_edges(
    client: PrefectClient, api: Gql
) -> None:
    flow_id = await client.answer("""
        from prefect import Client, Flow, Parameter, task

        @task(tags=["heavy"], max_retries=2, retry_delay=__import__("datetime").timedelta(minutes=3))
        def add(x, y):
            return x + y

        with Flow("sum") as flow:
            add(Parameter("x", default=1), add(Parameter("y"), 4))

        Client().create_project("shape")
        answer(flow.register(project_name="shape"))
    """)

    query = """
    query($id: uuid!) {
      flow_by_pk(id: $id) {
        name version archived core_version parameters
        project { name }
        tasks(order_by: {slug: asc}) { slug name max_retries tags }
        edges { key upstream_task { slug } downstream_task { slug } }
      }
    }"""
    flow = (await api(query, id=flow_id))["flow_by_pk"]
    assert (flow["name"], flow["version"], flow["archived"]) == ("sum", 1, False)
    assert flow["core_version"] == "1.4.1"
    assert flow["project"] == {"name": "shape"}
    assert [task["slug"] for task in flow["tasks"]] == ["add-heavy-1", "add-heavy-2", "x", "y"]
    assert {task["slug"]: task["tags"] for task in flow["tasks"]}["add-heavy-1"] == ["heavy"]
    assert {task["slug"]: task["max_retries"] for task in flow["tasks"]}["add-heavy-2"] == 2
    assert sorted(
        (edge["upstream_task"]["slug"], edge["downstream_task"]["slug"], edge["key"])
        for edge in flow["edges"]
    ) == [("add-heavy-1", "add-heavy-2", "y"), ("x", "add-heavy-2", "x"), ("y", "add-heavy-1", "x")]
    required = {parameter["name"]: parameter["required"] for parameter in flow["parameters"]}
    assert required == {"x": False, "y": True}


async def test_more_tasks_than_one_batch_holds_are_all_registered(
    client: PrefectClient, api: Gql
) -> None:
    flow_id = await client.answer("""
        from prefect import Client, Flow, task

        @task
        def one():
            return 1

        with Flow("wide") as flow:
            for _ in range(1000):
                one()

        Client().create_project("wide")
        answer(flow.register(project_name="wide"))
    """)

    query = """
    query($id: uuid!) { flow_by_pk(id: $id) { tasks_aggregate { aggregate { count } } } }"""
    flow = (await api(query, id=flow_id))["flow_by_pk"]
    assert flow["tasks_aggregate"]["aggregate"]["count"] == 1000


async def test_a_registration_that_breaks_off_leaves_the_version_before_in_force(
    client: PrefectClient, api: Gql
) -> None:
    """Ctrl-C between tasks and edges."""
    first = await client.answer("""
        from prefect import Client, Flow, task

        @task
        def one():
            return 1

        with Flow("broken off") as flow:
            one()

        class Impatient(Client):
            def graphql(self, query, *args, **kwargs):
                if "register_edges(input: $input)" in str(query):
                    raise KeyboardInterrupt
                return super().graphql(query, *args, **kwargs)

        Client().create_project("broken off")
        first = flow.register(project_name="broken off")
        try:
            Impatient().register(flow, project_name="broken off")
        except KeyboardInterrupt:
            pass
        answer(first)
    """)

    query = """
    query { flow(where: { name: { _eq: "broken off" } }) { id version archived } }"""
    assert (await api(query))["flow"] == [{"id": first, "version": 1, "archived": False}]


async def test_a_project_that_exists_is_found_again(client: PrefectClient) -> None:
    first, second = await client.answer("""
        from prefect import Client
        answer([Client().create_project("twice") for _ in range(2)])
    """)

    assert first == second


async def test_registering_in_a_project_that_does_not_exist_is_refused_with_its_name(
    client: PrefectClient,
) -> None:
    finished = await client.python(
        """
        from prefect import Flow
        Flow("homeless").register(project_name="no such place")
        """,
        check=False,
    )

    assert finished.code == 1
    assert "Project no such place not found" in finished.output


async def test_registering_again_makes_a_version_that_archives_the_older_one(
    client: PrefectClient, api: Gql
) -> None:
    await client.python("""
        from prefect import Client, Flow
        Client().create_project("versions")
        for _ in range(3):
            Flow("reworked").register(project_name="versions")
    """)

    flows = (await api(VERSIONS, name="reworked"))["flow"]
    assert [(flow["version"], flow["archived"]) for flow in flows] == [
        (1, True),
        (2, True),
        (3, False),
    ]
    assert len({flow["version_group_id"] for flow in flows}) == 1


async def test_archiving_by_a_new_version_pauses_the_old_schedule_and_starts_the_new_one(
    client: PrefectClient, api: Gql
) -> None:
    first, second = await client.answer("""
        from datetime import timedelta
        import pendulum
        from prefect import Client, Flow, task
        from prefect.schedules import IntervalSchedule

        Client().create_project("clockwork")
        schedule = IntervalSchedule(
            start_date=pendulum.now("UTC").add(hours=1), interval=timedelta(hours=1)
        )
        answer([
            Flow("hourly", schedule=schedule).register(project_name="clockwork") for _ in range(2)
        ])
    """)

    async def moved_over() -> bool:
        assert len((await api(WAITING, flow_id=first))["flow_run"]) == 0
        assert len((await api(WAITING, flow_id=second))["flow_run"]) == 10
        old, new = (await api(VERSIONS, name="hourly"))["flow"]
        assert (old["archived"], new["archived"]) == (True, False)
        return True

    await eventually(moved_over, timeout=60, pause=LOOK)


async def test_an_archived_flow_cannot_be_run_until_it_is_unarchived(
    client: PrefectClient, api: Gql
) -> None:
    flow_id = await client.answer("""
        from prefect import Client, Flow
        Client().create_project("archive")
        answer(Flow("shelved").register(project_name="archive"))
    """)
    run = "mutation($id: UUID!) { create_flow_run(input: {flow_id: $id}) { id } }"
    count = """
    query($id: uuid!) { flow_run_aggregate(where: {flow_id: {_eq: $id}}) { aggregate { count } } }
    """

    await api("mutation($id: UUID!) { archiveFlow(input: {flowId: $id}) { id } }", id=flow_id)
    errors = await api.errors(run, id=flow_id)

    assert "archived" in errors[0]["message"]
    assert (await api(count, id=flow_id))["flow_run_aggregate"]["aggregate"]["count"] == 0

    await api("mutation($id: UUID!) { unarchiveFlow(input: {flowId: $id}) { id } }", id=flow_id)
    assert (await api(run, id=flow_id))["create_flow_run"]["id"]


async def test_the_same_idempotency_key_registers_nothing_new(
    client: PrefectClient, api: Gql
) -> None:
    ids = await client.answer("""
        from prefect import Client, Flow
        Client().create_project("idempotent")
        flow = Flow("same")
        answer([
            flow.register(project_name="idempotent", idempotency_key=key)
            for key in ("a", "a", "b")
        ])
    """)

    assert ids[0] == ids[1] != ids[2]
    flows = (await api(VERSIONS, name="same"))["flow"]
    assert [flow["version"] for flow in flows] == [1, 2]


async def test_prefect_register_skips_what_has_not_changed(
    client: PrefectClient, api: Gql, tmp_path: Path
) -> None:
    source = tmp_path / "nightly.py"
    source.write_text("from prefect import Flow\nflow = Flow('nightly')\n")
    await client.cli("create", "project", "cli")
    register = ("register", "--project", "cli", "--path", str(source))

    first = await client.cli(*register)
    second = await client.cli(*register)

    assert "1 registered" in first.output
    assert "1 skipped" in second.output
    assert [flow["version"] for flow in (await api(VERSIONS, name="nightly"))["flow"]] == [1]


async def test_prefect_get_lists_projects_flows_and_tasks(client: PrefectClient) -> None:
    await client.python("""
        from prefect import Client, Flow, task

        @task
        def brew():
            pass

        Client().create_project("kitchen", project_description="where tea is made")
        flow = Flow("tea", tasks=[brew])
        flow.register(project_name="kitchen")
    """)

    projects = (await client.cli("get", "projects")).output
    flows = (await client.cli("get", "flows", "--project", "kitchen")).output
    tasks = (await client.cli("get", "tasks", "--flow-name", "tea")).output
    described = (await client.cli("describe", "flows", "--name", "tea")).output

    assert re.search(r"kitchen\s+1\s+.*where tea is made", projects)
    assert re.search(r"tea\s+1\s.*\skitchen", flows)
    assert re.search(r"brew\s+tea\s+1\s", tasks)
    assert "'name': 'tea'" in described or '"name": "tea"' in described


async def test_the_founding_documents_mutation_registers_a_flow(
    client: PrefectClient, api: Gql
) -> None:
    serialized = await client.answer("""
        from prefect import Flow, Parameter, task

        @task
        def show(x):
            pass

        with Flow("by hand") as flow:
            show(Parameter("x", default=1))
        answer(flow.serialize())
    """)
    project = 'mutation { createProject(input: {name: "gql"}) { id } }'
    project_id = (await api(project))["createProject"]["id"]

    register = f"""
    mutation($flow: JSON!) {{
      createFlow(input: {{ serializedFlow: $flow, projectId: "{project_id}" }}) {{ id }}
    }}"""
    flow_id = (await api(register, flow=serialized))["createFlow"]["id"]

    tasks = "query($id: uuid!) { flow_by_pk(id: $id) { version tasks { slug } edges { key } } }"
    flow = (await api(tasks, id=flow_id))["flow_by_pk"]
    assert flow["version"] == 1
    assert sorted(task["slug"] for task in flow["tasks"]) == ["show-1", "x"]
    assert flow["edges"] == [{"key": "x"}]


@pytest.mark.parametrize(
    ("project", "serialized"),
    [
        ("not base64", "not gzip in base64"),
        ("cut short", "H4sIAAAAAAAAA6tWKkktLlGyUlAqS8wpTVWqBQDKkmULFA"),
    ],
)
async def test_what_is_no_flow_is_refused_and_leaves_nothing_behind(
    api: Gql, project: str, serialized: str
) -> None:
    create = "mutation($name: String!) { create_project(input: {name: $name}) { id } }"
    project_id = (await api(create, name=project))["create_project"]["id"]

    register = """
    mutation($project: UUID!, $flow: String!) {
      create_flow_from_compressed_string(input: {project_id: $project, serialized_flow: $flow}) {
        id
      }
    }"""
    errors = await api.errors(register, project=project_id, flow=serialized)

    assert "decompress" in errors[0]["message"]
    left = "query($id: uuid!) { flow(where: {project_id: {_eq: $id}}) { id } }"
    assert (await api(left, id=project_id))["flow"] == []
