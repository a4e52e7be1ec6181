"""What must have come of each scenario: one function per row of `matrix.SCENARIOS`, called by its name."""

from __future__ import annotations

import re
from typing import Any

from tests.clients.matrix import Mode
from tests.clients.story import Story, hears_cancellations, slug_of
from tests.support.eventually import eventually
from tests.support.headwater import LOOK

FLOWS = """
query($name: String!, $project: String!) {
  flow(
    where: {name: {_eq: $name}, project: {name: {_eq: $project}}}, order_by: {version: asc}
  ) {
    id version archived core_version storage parameters is_schedule_active
    tasks(order_by: {slug: asc}) { name mapped max_retries }
    edges { key mapped upstream_task { name } downstream_task { name } }
  }
}"""


def project_of(story: Story) -> str:
    """Where its flows are: Core 0.10-0.12 sends no project to a Server."""
    if story.cell.mode is Mode.SERVER and story.cell.number < (0, 13):
        return "default"
    return f"matrix {story.cell.name}"


async def flows(story: Story, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await story.api(FLOWS, name=name, project=project_of(story)))[
        "flow"
    ]
    return found


def row_of(text: str, first: str) -> str:
    """The first line of a printed table that begins with a name; other cells may have one of their own."""
    rows = [line for line in text.splitlines() if line.startswith(first + " ")]
    assert rows, f"{first!r} in\n{text}"
    return rows[0]


async def projects(story: Story) -> None:
    told = story.of("projects")
    found = (
        await story.api(
            "query($name: String!) { project(where: {name: {_eq: $name}}) { id description } }",
            name=f"matrix {story.cell.name}",
        )
    )["project"]

    assert found == [{"id": told["id"], "description": "of the matrix"}]
    if story.cell.number >= (0, 13, 15):
        assert told["again"] == told["id"]
    else:
        assert "Uniqueness violation." in told["again"]


async def registration(story: Story) -> None:
    (flow,) = await flows(story, "work")

    assert flow["id"] == story.flows["work"]
    assert flow["version"] == 1
    # Core 0.8 writes no version into a flow.
    assert flow["core_version"] == (None if story.cell.number < (0, 9) else story.cell.version)
    assert [(one["name"], one["default"]) for one in flow["parameters"]] == [("numbers", [1, 2])]
    tasks = {task["name"]: task for task in flow["tasks"]}
    assert {"double", "second_time_lucky", "total", "look_around", "numbers"} <= tasks.keys()
    assert tasks["second_time_lucky"]["max_retries"] == 2
    assert tasks["double"]["mapped"] is True
    assert tasks["total"]["mapped"] is False
    edges = {
        (
            edge["upstream_task"]["name"],
            edge["downstream_task"]["name"],
            edge["key"],
            edge["mapped"],
        )
        for edge in flow["edges"]
    }
    assert edges == {
        ("numbers", "double", "x", True),
        ("double", "total", "xs", False),
        ("second_time_lucky", "total", None, False),
    }


async def versions(story: Story) -> None:
    first, second = story.of("versions")

    found = await flows(story, "versions")

    assert [(flow["id"], flow["version"], flow["archived"]) for flow in found] == [
        (first, 1, True),
        (second, 2, False),
    ]


async def idempotent_registration(story: Story) -> None:
    first, again, other = story.of("idempotent_registration")

    assert first == again != other
    assert [flow["version"] for flow in await flows(story, "same")] == [1, 2]


async def script_storage(story: Story) -> None:
    (flow,) = await flows(story, "broken")

    assert flow["storage"]["stored_as_script"] is True
    run = await story.finished(story.runs["broken"])
    assert run["state"] == "Failed"
    assert "boom" in str(run["logs"])


async def module_storage(story: Story) -> None:
    (flow,) = await flows(story, "clockwork")

    assert flow["storage"]["type"] == "Module"
    assert flow["storage"]["module"] == "clockwork_of_the_matrix"
    first = (await story.scheduled_runs())[0]
    assert (await story.finished(first["id"]))["state"] == "Success"


async def success(story: Story) -> None:
    run = await story.finished(story.runs["work"])

    assert run["state"] == "Success", run["logs"]
    assert run["name"] == f"work of {story.cell.name}"
    assert run["parameters"] == {"numbers": [1, 2, 18]}
    assert run["auto_scheduled"] is False
    assert run["start_time"] < run["end_time"]
    assert story.cell.name in run["labels"]
    assert [(state["version"], state["state"]) for state in run["states"]] == [
        (1, "Scheduled"),
        (2, "Submitted"),
        (3, "Running"),
        (4, "Success"),
    ]
    assert run["version"] == 4


async def failure(story: Story) -> None:
    run = await story.finished(story.runs["broken"])

    assert run["state"] == "Failed"
    assert {task["task"]["name"]: task["state"] for task in run["task_runs"]} == {
        "double": "TriggerFailed",
        "explode": "Failed",
    }


async def mapped(story: Story) -> None:
    run = await story.finished(story.runs["work"])

    doubles = [task for task in run["task_runs"] if task["task"]["name"] == "double"]
    assert [(task["map_index"], task["state"]) for task in doubles] == [
        (-1, "Mapped"),
        (0, "Success"),
        (1, "Success"),
        (2, "Success"),
    ]


async def retries(story: Story) -> None:
    run = await story.finished(story.runs["work"])

    (lucky,) = [task for task in run["task_runs"] if task["task"]["name"] == "second_time_lucky"]
    assert [state["state"] for state in lucky["states"]] == [
        "Pending",
        "Running",
        "Failed",
        "Retrying",
        "Running",
        "Success",
    ]


async def scheduled(story: Story) -> None:
    first = (await story.scheduled_runs())[0]
    run = await story.finished(first["id"])

    assert run["state"] == "Success"
    assert run["auto_scheduled"] is True

    async def ten_ahead() -> bool:
        _, *later = await story.scheduled_runs()
        assert [(one["state"], one["auto_scheduled"]) for one in later] == [
            ("Scheduled", True)
        ] * 10
        return True

    await eventually(ten_ahead, timeout=90, pause=LOOK)


async def cancellation(story: Story) -> None:
    run = await story.finished(story.runs["endless"])

    assert run["state"] == "Cancelled"
    assert {task["state"] for task in run["task_runs"]} == {"Cancelled"}
    assert [state["state"] for state in run["states"]][-2:] == ["Cancelling", "Cancelled"]
    confirmed = "nothing confirmed" not in run["state_message"]
    assert confirmed is (story.cell.number >= (0, 13))
    assert story.process_ended is hears_cancellations(story.cell)


async def idempotent_runs(story: Story) -> None:
    first, again, other = story.of("idempotent_runs")

    assert first == again != other


async def logs(story: Story) -> None:
    async def all_said() -> bool:
        run = await story.run(story.runs["work"])
        said = [(log["level"], log["message"]) for log in run["logs"]]
        assert ("INFO", "the sum is 42") in said, said
        first = said.index(("INFO", "the sum is 42"))
        assert said[first + 1] == ("WARNING", "with an umlaut: ü")
        return True

    # Clients upload logs every few seconds and as they exit.
    await eventually(all_said, timeout=30, pause=LOOK)


async def secrets(story: Story) -> None:
    assert story.of("secrets") is True
    run = await story.finished(story.runs["work"])

    said = [log["message"] for log in run["logs"]]
    assert "the secret is {'pin': 7}" in said, said
    raised = "KeyError" if story.cell.number >= (0, 12) else "ClientError"
    assert f"no such secret: {raised}" in said, said


async def key_values(story: Story) -> None:
    value, keys, gone = story.of("key_values")

    assert value == {"a": [1, "ü"]}
    assert keys == ["k"]
    assert gone is not None
    assert gone[0] == "ValueError"


async def artifacts(story: Story) -> None:
    found = (
        await story.api(
            """
            query($id: uuid!) {
              task_run_artifact(
                where: {task_run: {flow_run_id: {_eq: $id}}}, order_by: {created: asc}
              ) { kind data }
            }""",
            id=story.runs["work"],
        )
    )["task_run_artifact"]

    assert found == [
        {"kind": "markdown", "data": {"markdown": "# final"}},
        {"kind": "link", "data": {"link": "https://example.org/kept"}},
    ]


async def version_locking(story: Story) -> None:
    assert story.of("safeguards")["work"]["version_locking_enabled"] is True
    run = await story.finished(story.runs["work"])

    assert run["state"] == "Success"
    for task in run["task_runs"]:
        assert "ClientFailed" not in [state["state"] for state in task["states"]]


async def stale_write(story: Story) -> None:
    told = story.of("stale_write")

    name, text = told["refused"]
    if story.cell.number >= (0, 15):
        assert name == "VersionLockMismatchSignal"
    elif story.cell.number >= (0, 13):
        assert name == "VersionLockError"
    else:
        assert name == "ClientError"
        assert "VERSION_LOCKING_ERROR" in text
    assert (told["version"], told["state"]) == (1, "Scheduled")


async def heartbeats_off(story: Story) -> None:
    assert story.of("schedule")["settings"]["heartbeat_enabled"] is False
    first = (await story.scheduled_runs())[0]
    without = await story.finished(first["id"])
    with_them = await story.finished(story.runs["work"])

    assert without["state"] == "Success"
    assert "heartbeats: off" in [log["message"] for log in without["logs"]]
    assert "heartbeats: on" in [log["message"] for log in with_them["logs"]]


async def lazarus(story: Story) -> None:
    assert story.of("safeguards")["given up"]["lazarus_enabled"] is False

    revived = await story.finished(story.runs["lost"])
    given_up = await story.run(story.runs["given up"])

    assert revived["state"] == "Success"
    assert revived["times_resurrected"] == 1
    assert given_up["state"] == "Submitted"
    assert given_up["times_resurrected"] == 0


async def task_limits(story: Story) -> None:
    assert story.of("tag_limits") == [2, 0, None]
    run = await story.finished(story.runs["narrow"])

    assert run["state"] == "Success"
    (squeezed,) = [task for task in run["task_runs"] if task["task"]["name"] == "squeeze"]
    states = [state["state"] for state in squeezed["states"]]
    assert states[:2] == ["Pending", "Queued"]
    assert states[-2:] == ["Running", "Success"]


async def wait_for_flow_run(story: Story) -> None:
    run = await story.finished(story.of("parent"))
    children = (
        await story.api(
            "query($id: uuid!) { flow_run(where: {flow_id: {_eq: $id}}) { state } }",
            id=story.flows["quick"],
        )
    )["flow_run"]

    assert run["state"] == "Success"
    assert {"state": "Success"} in children


async def tenants(story: Story) -> None:
    told = story.of("tenants")

    if story.cell.mode is Mode.CLOUD:
        assert told == [[story.tenant_id, slug_of(story.cell)]]
    else:
        assert [slug for _, slug in told] == ["default"]


async def views(story: Story) -> None:
    told = story.of("view")

    assert told["state"] == "Success"
    assert told["states"] == ["Running", "Scheduled", "Submitted", "Success"]
    assert {"double-1", "total-1", "numbers"} <= set(told["tasks"])
    assert "the sum is 42" in told["logs"]


async def cli_get(story: Story) -> None:
    told = story.of("cli_get")

    assert story.of("cli_version").strip() == story.cell.version
    assert "of the matrix" in row_of(told["projects"], f"matrix {story.cell.name}")
    if project_of(story) != "default":  # Core 0.12 lists the flows of a Server without a project
        assert re.match(r"work\s+1\s", row_of(told["flows"], "work"))
    assert len(re.findall(r"^versions ", told["all versions"], re.MULTILINE)) >= 2
    assert re.match(r"double\s+work\s+1\s", row_of(told["tasks"], "double"))
    assert "Success" in row_of(told["flow-runs"], f"work of {story.cell.name}")
    assert "the sum is 42" in told["logs"]


async def cli_describe(story: Story) -> None:
    told = story.of("cli_describe")

    assert "Local" in told["flows"]
    assert "second_time_lucky" in told["tasks"]
    assert "Success" in told["flow-runs"]


async def cli_create(story: Story) -> None:
    assert "created" in story.of("cli_create")
    found = (
        await story.api(
            "query($name: String!) { project(where: {name: {_eq: $name}}) { description } }",
            name=f"matrix {story.cell.name} by hand",
        )
    )["project"]

    assert found == [{"description": "of the command line"}]


async def cli_delete(story: Story) -> None:
    assert "deleted" in story.of("cli_delete")
    found = (
        await story.api(
            "query($name: String!) { project(where: {name: {_eq: $name}}) { id } }",
            name=f"matrix {story.cell.name} doomed",
        )
    )["project"]

    assert found == []


async def cli_register(story: Story) -> None:
    told = story.of("cli_register")

    (flow,) = await flows(story, "by command")
    assert flow["version"] == 1
    if story.cell.number >= (0, 14):
        assert "1 registered" in told[0]
        assert "1 skipped" in told[1]


async def cli_heartbeat(story: Story) -> None:
    assert story.of("cli_heartbeat") == ""  # nothing to say, and no error for a run that is over


async def cli_agent(story: Story) -> None:
    told = story.of("cli_agent")

    assert "prefect agent" in told
    assert "a-label" in told


async def cli_key_values(story: Story) -> None:
    made, value, listed, deleted = story.of("cli_key_values")

    assert "successfully" in made
    assert "7" in value
    assert "by-hand" in listed
    assert "has been deleted" in deleted


async def cli_run(story: Story) -> None:
    assert re.search(r"Success|succeeded", story.of("cli_run"))


async def cli_auth(story: Story) -> None:
    told = story.of("cli_auth")
    slug = slug_of(story.cell)

    assert re.search(r"Logged in|Login successful", told["login"])
    assert re.search(rf"{slug}.*\*", told["tenants"]), told["tenants"]
    assert "Tenant switched" in told["switch"]
    assert "by hand" in told["listed"]
    assert "by hand" not in told["left"]
    assert "ogged out" in told["logout"]
    if story.cell.number >= (0, 15):
        assert f"You are logged in to tenant {story.tenant_id}" in told["status"]
