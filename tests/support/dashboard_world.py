"""A tenant with something on each page of the dashboard, what its clients report, and pages opened on it."""

from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page, expect

from tests.support.browser import Watched
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow, a_parameter, a_schedule

EVIL = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script> \u202eevil'
BIG = 2**63 - 1
FLOW_TABS = ("schedule", "tasks", "versions", "graph", "readme", "parameters", "settings")
TASK_RUN_TABS = ("attempts", "inputs", "artifacts", "history", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A tenant with something on each page."""

    url: str
    slug: str
    project: str
    group: str
    flow: str
    run: str
    task_run: str
    task: str
    last_line: str

    @property
    def pages(self) -> dict[str, str]:
        """The address of each page."""
        at = f"/{self.slug}"
        return {
            "overview": at,
            "flows": f"{at}/flows",
            "flow": f"{at}/flow/{self.group}",
            **{f"flow {tab}": f"{at}/flow/{self.group}?tab={tab}" for tab in FLOW_TABS},
            "new run": f"{at}/flow/{self.group}/run",
            "runs": f"{at}/runs",
            "run": f"{at}/flow-run/{self.run}",
            "logs": f"{at}/flow-run/{self.run}?tab=logs",
            "graph": f"{at}/flow-run/{self.run}?tab=graph",
            "artifacts": f"{at}/flow-run/{self.run}?tab=artifacts",
            "history": f"{at}/flow-run/{self.run}?tab=history",
            "parameters": f"{at}/flow-run/{self.run}?tab=parameters",
            "task run": f"{at}/task-run/{self.task_run}",
            **{
                f"task run {tab}": f"{at}/task-run/{self.task_run}?tab={tab}"
                for tab in TASK_RUN_TABS
            },
            "task": f"{at}/task/{self.task}",
            "agents": f"{at}/agents",
            "limits": f"{at}/limits",
            "calendar": f"{at}/calendar",
            "automations": f"{at}/automations",
            "deliveries": f"{at}/automations?tab=deliveries",
            "inbox": f"{at}/inbox?show=all",
            "projects": f"{at}/projects",
            "values": f"{at}/values",
            "team": f"{at}/team",
            "nowhere": f"{at}/no/such/page",
        }


PAGES = tuple(World(**dict.fromkeys(World.__slots__, "")).pages)


async def furnished(api: Gql, *, is_scheduled: bool = True) -> World:
    """Fill a tenant as its clients would; whatever can be named has a name that means harm.

    Without a schedule nothing happens in it by itself.
    """
    tenant = (await api("{ tenant { id slug } }"))["tenant"][0]
    project = (
        await api(
            "mutation($n: String!) { create_project(input: {name: $n}) { id } }", n=f"p {EVIL}"
        )
    )["create_project"]["id"]
    flow = a_flow(
        f"flow {EVIL}"[:120],
        parameters=[a_parameter("big", default=BIG), a_parameter("text", default=EVIL)],
        schedule=a_schedule() if is_scheduled else None,
    )
    made = await api(
        "mutation($p: UUID!, $f: JSON!) { create_flow(input: {project_id: $p, serialized_flow: $f}) { id } }",
        p=project,
        f=flow,
    )
    flow_id = made["create_flow"]["id"]
    group = (await api("query($i: uuid!) { flow_by_pk(id: $i) { flow_group_id } }", i=flow_id))[
        "flow_by_pk"
    ]["flow_group_id"]
    await api(
        "mutation($g: UUID!, $d: String!) { set_flow_group_description(input: {flow_group_id: $g, description: $d})"
        " { success } }",
        g=group,
        d=f"# README\n\n{EVIL}\n\n[x](javascript:alert(1)) ![p](http://evil.example/p.png)",
    )
    run = (
        await api(
            "mutation($i: create_flow_run_input!) { create_flow_run(input: $i) { id } }",
            i={"flow_id": flow_id, "flow_run_name": f"run {EVIL}", "parameters": {"text": EVIL}},
        )
    )["create_flow_run"]["id"]
    task_run = await fail_one_task(api, run)
    last_line = await write_logs(api, run)
    await api(
        'mutation($t: UUID!, $d: JSON!) { create_task_run_artifact(input: {task_run_id: $t, kind: "link", data: $d})'
        " { id } }",
        t=task_run,
        d={"link": "javascript:window.harmed=1"},
    )
    await api(
        'mutation($t: UUID!, $d: JSON!) { create_task_run_artifact(input: {task_run_id: $t, kind: "markdown",'
        " data: $d}) { id } }",
        t=task_run,
        d={"markdown": EVIL},
    )
    await api(
        'mutation { update_flow_concurrency_limit(input: {label: "heavy", limit: 2}) { id } }'
    )
    await api(
        'mutation($v: JSON!) { set_key_value(input: {key: "k", value: $v}) { id } }', v={"a": EVIL}
    )
    return World(
        url=api.url,
        slug=tenant["slug"],
        project=project,
        group=group,
        flow=flow_id,
        run=run,
        task_run=task_run,
        task=await task_of(api, task_run),
        last_line=last_line,
    )


async def add_automation(api: Gql) -> None:
    """An automation that is off, so that what happens in the tenant sends nothing."""
    action = await api(
        "mutation($n: String!) { create_action(input: {name: $n,"
        ' config: {webhook: {url: "https://hooks.example.com/x"}}}) { id } }',
        n=f"action {EVIL}",
    )
    hook = await api(
        "mutation($a: UUID!, $n: String!) { create_flow_run_state_changed_hook("
        'input: {action_id: $a, name: $n, states: ["Failed"]}) { id } }',
        a=action["create_action"]["id"],
        n=f"hook {EVIL}",
    )
    await api(
        "mutation($h: UUID!) { update_hook(input: {hook_id: $h, is_active: false}) { success } }",
        h=hook["create_flow_run_state_changed_hook"]["id"],
    )


async def fail_one_task(api: Gql, run: str) -> str:
    """Run the flow as an agent and a client would: its first task fails."""
    tasks = (
        await api(
            "query($r: uuid!) { task_run(where: {flow_run_id: {_eq: $r}}, order_by: {task: {slug: asc}})"
            " { id version } }",
            r=run,
        )
    )["task_run"]
    flow_run = Reported(api, "flow_run", run, await version_of(api, run))
    for state in ("Submitted", "Running"):
        await flow_run.set(state)
    task = tasks[0]
    task_run = Reported(api, "task_run", task["id"], task["version"])
    await task_run.set("Running")
    await task_run.set("Failed", f"ValueError: {EVIL}")
    await flow_run.set("Failed", "Some reference tasks failed.")
    found: str = task["id"]
    return found


async def task_of(api: Gql, task_run: str) -> str:
    found = await api(
        "query($r: uuid!) { task_run_by_pk(id: $r) { task_id } }",
        r=task_run,
    )
    task: str = found["task_run_by_pk"]["task_id"]
    return task


async def version_of(api: Gql, run: str) -> int:
    found = await api("query($r: uuid!) { flow_run_by_pk(id: $r) { version } }", r=run)
    version: int = found["flow_run_by_pk"]["version"]
    return version


@dataclass(slots=True)
class Reported:
    """A run whose states a client reports."""

    api: Gql
    kind: str
    id: str
    version: int

    async def set(self, state: str, message: str | None = None) -> None:
        """Report a state, with the version that the client saw."""
        given = {
            f"{self.kind}_id": self.id,
            "version": self.version,
            "state": {"type": state, "message": message},
        }
        await self.api(
            f"mutation($s: [set_{self.kind}_state_input!]!)"
            f" {{ set_{self.kind}_states(input: {{states: $s}}) {{ states {{ id status }} }} }}",
            s=[given],
        )
        self.version += 1


async def write_logs(api: Gql, run: str) -> str:
    """Write lines of all kinds; the text of the last one."""
    last = "the very last line"
    lines = [
        *(f"line {number} of many" for number in range(1200)),
        EVIL,
        "\x1b[31mred\x1b[0m and \x1b]8;;http://evil.example\x07plain",
        "long " + "x" * 200_000,
        last,
    ]
    for start in range(0, len(lines), 400):
        batch: list[dict[str, Any]] = [
            {
                "flow_run_id": run,
                "timestamp": f"2026-01-01T00:{(start + n) // 60:02}:{(start + n) % 60:02}+00:00",
                "name": "prefect.flow",
                "level": "ERROR" if text == EVIL else "INFO",
                "message": text,
            }
            for n, text in enumerate(lines[start : start + 400])
        ]
        await api(
            "mutation($l: [write_run_log_input!]!) { write_run_logs(input: {logs: $l}) { success } }",
            l=batch,
        )
    return last


async def a_run(api: Gql, world: World, name: str, **fields: Any) -> Reported:
    """A run that waits."""
    made = await api(
        "mutation($i: create_flow_run_input!) { create_flow_run(input: $i) { id } }",
        i={"flow_id": world.flow, "flow_run_name": name, **fields},
    )
    run = made["create_flow_run"]["id"]
    return Reported(api, "flow_run", run, await version_of(api, run))


async def write_line(api: Gql, run: str, text: str) -> None:
    """Write a line of the run's log."""
    await api(
        "mutation($l: [write_run_log_input!]!) { write_run_logs(input: {logs: $l}) { success } }",
        l=[{"flow_run_id": run, "name": "prefect.flow", "level": "INFO", "message": text}],
    )


async def opened(page: Page, world: World, name: str) -> Watched:
    """A page of the dashboard, when it has shown what it shows."""
    watched = Watched.of(page, world.url)
    await page.goto(world.url + world.pages[name])
    if name in {"graph", "flow graph"}:
        await expect(page.locator(".react-flow__node").first).to_be_visible()
    await watched.settled()
    return watched


async def is_live(page: Page) -> None:
    """Wait until a page hears what changes."""
    # The footer says it; the word stands elsewhere on some pages, too.
    await expect(page.locator(".link-state")).to_contain_text("Live")


async def live(page: Page, address: str) -> None:
    """Open a page, wait until it shows what it shows and hears what changes."""
    await page.goto(address)
    # It may hear before its own first answer is there.
    await expect(page.locator("main h1")).to_be_visible()
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    # The last of its parts; a browser remembers one that did not come, and the page is then loaded anew.
    await expect(page.get_by_label("Time zone", exact=True).first).to_be_attached()
    await is_live(page)
