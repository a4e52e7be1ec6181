"""Every page of the dashboard in a real browser, on real services, with content that means harm."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, expect

from services.gateway.dashboard import BUILT_PAGES
from tests.support.browser import Watched, chromium
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow, a_parameter, a_schedule
from tests.support.services import all_services

# Others use the same cores while a page is drawn.
expect.set_options(timeout=20_000)

AXE = BUILT_PAGES.parent / "node_modules" / "axe-core" / "axe.min.js"
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
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
            "projects": f"{at}/projects",
            "values": f"{at}/values",
            "team": f"{at}/team",
            "nowhere": f"{at}/no/such/page",
        }


PAGES = tuple(World(**dict.fromkeys(World.__slots__, "")).pages)


@pytest.fixture(scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as api:
        yield await furnished(api)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def furnished(api: Gql) -> World:
    """Fill a tenant as its clients would; whatever can be named has a name that means harm."""
    tenant = (await api("{ tenant { id slug } }"))["tenant"][0]
    project = (
        await api(
            "mutation($n: String!) { create_project(input: {name: $n}) { id } }", n=f"p {EVIL}"
        )
    )["create_project"]["id"]
    flow = a_flow(
        f"flow {EVIL}"[:120],
        parameters=[a_parameter("big", default=BIG), a_parameter("text", default=EVIL)],
        schedule=a_schedule(),
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


async def opened(
    browser: Browser, world: World, page: str, theme: Theme = "light", **options: Any
) -> Watched:
    """A page of the dashboard, when it has shown what it shows."""
    context = await browser.new_context(color_scheme=theme, **options)
    watched = Watched.of(await context.new_page(), world.url)
    await watched.page.goto(world.url + world.pages[page])
    await expect(watched.page.locator("h1")).to_be_visible(timeout=20_000)
    if page in {"graph", "flow graph"}:
        await expect(watched.page.locator(".react-flow__node").first).to_be_visible(timeout=20_000)
    await expect(watched.page.locator("[aria-busy=true]")).to_have_count(0, timeout=20_000)
    return watched


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("page", PAGES)
async def test_every_page_is_whole_harmless_and_accessible_in_both_themes(
    browser: Browser, world: World, page: str, theme: Theme
) -> None:
    watched = await opened(browser, world, page, theme)

    await watched.page.evaluate(Path(AXE).read_text())
    serious = await watched.page.evaluate(
        "async () => (await axe.run(document)).violations"
        ".filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | ')}`)"
    )
    harmed = await watched.page.evaluate("window.harmed ?? null")
    await watched.page.context.close()

    assert watched.faults == []
    assert harmed is None
    assert serious == []


@pytest.mark.parametrize("page", ["overview", "runs", "run", "logs", "team"])
async def test_a_narrow_screen_needs_no_sideways_scrolling(
    browser: Browser, world: World, page: str
) -> None:
    watched = await opened(browser, world, page, viewport={"width": 320, "height": 640})

    wide = await watched.page.evaluate("document.documentElement.scrollWidth")
    await watched.page.context.close()

    assert wide <= 320


async def test_the_log_opens_at_its_end_and_a_line_far_above_is_found(
    browser: Browser, world: World
) -> None:
    watched = await opened(browser, world, "logs")
    lines = watched.page.get_by_role("log")

    await expect(lines.get_by_text(world.last_line)).to_be_visible()
    await watched.page.get_by_label("Text in the log").fill("line 7 of")
    await expect(lines.locator("mark")).to_have_text("line 7 of")
    await watched.page.context.close()

    assert watched.faults == []


async def test_what_failed_first_is_said_on_the_run_with_a_link_to_its_task(
    browser: Browser, world: World
) -> None:
    watched = await opened(browser, world, "run")

    await expect(watched.page.get_by_role("heading", name="First failures")).to_be_visible()
    await expect(watched.page.get_by_text("ValueError").first).to_be_visible()
    await watched.page.locator(f'a[href$="/task-run/{world.task_run}"]').first.click()
    await expect(watched.page.get_by_text("ValueError").first).to_be_visible()
    await watched.page.context.close()

    assert watched.faults == []


async def test_a_run_is_made_from_the_form_with_numbers_that_javascript_cannot_hold(
    browser: Browser, world: World
) -> None:
    watched = await opened(browser, world, "new run")
    page = watched.page

    await expect(page.get_by_label("big")).to_have_value(str(BIG))
    await page.get_by_role("button", name="Run", exact=True).click()
    await page.wait_for_url("**/flow-run/*")
    async with Gql(world.url) as api:
        made = await api(
            "query($i: uuid!) { flow_run_by_pk(id: $i) { parameters } }",
            i=page.url.rpartition("/")[2],
        )
    await page.context.close()

    assert made["flow_run_by_pk"]["parameters"] == {"big": BIG, "text": EVIL}
    assert watched.faults == []


@pytest.mark.parametrize(
    ("address", "heading"),
    [
        # register() since 0.13; 0.9-0.12 against a cloud, and against a server
        ("/{slug}/flow/{group}", "flow"),
        ("/{slug}/flow/{flow}", "flow"),
        ("/flow/{flow}", "flow"),
        # `prefect run`, create_flow_run, Slack's titles, cloud hooks; 0.10-0.12 against a server
        ("/{slug}/flow-run/{run}", "run"),
        ("/{slug}/task-run/{task_run}", "extract"),
        ("/flow-run/{run}", "run"),
        ("/task-run/{task_run}", "extract"),
        ("/nobody-has-this-slug/flow-run/{run}", "run"),
        # bookmarks
        ("/", "Overview"),
        ("/{slug}", "Overview"),
        ("/{slug}/project/{project}", "Flows"),
        ("/project/{project}", "Flows"),
        ("/{slug}/task/{task}", "extract"),
        ("/task/{task}", "extract"),
        ("/{slug}/agent", "Agents"),
        ("/agent", "Agents"),
        ("/{slug}/calendar", "Week of"),
        ("/calendar", "Week of"),
        ("/{slug}/team/members", "Team"),
        ("/team/members", "Team"),
        ("/user/keys", "Team"),
        ("/notifications", "Overview"),
        ("/login", "Overview"),
        # the start page's own keys
        ("/{slug}?flows=orders", "Flows"),
        ("/{slug}?calendar", "Week of"),
        ("/{slug}/flow/{group}?run", "Run flow"),
    ],
)
async def test_addresses_that_clients_print_and_people_keep_land(
    browser: Browser, world: World, address: str, heading: str
) -> None:
    context = await browser.new_context()
    watched = Watched.of(await context.new_page(), world.url)

    await watched.page.goto(
        world.url + address.format(**{name: getattr(world, name) for name in world.__slots__})
    )

    await expect(watched.page.locator("h1")).to_contain_text(heading)
    await context.close()
    assert watched.faults == []


@pytest.mark.parametrize(
    ("address", "tab"),
    [
        ("/{slug}/flow/{group}?overview", "Runs"),
        ("/{slug}/flow/{group}?description", "README"),
        ("/{slug}/flow/{group}?tasks", "Tasks"),
        ("/{slug}/flow/{group}?runs", "Runs"),
        ("/{slug}/flow/{group}?schematic", "Graph"),
        ("/{slug}/flow/{group}?automations", "Runs"),
        ("/{slug}/flow/{group}?settings", "Settings"),
        ("/{slug}/flow/{group}?versions&version=1", "Versions"),
        ("/{slug}/flow-run/{run}?schematic", "Graph"),
        ("/{slug}/flow-run/{run}?schematic={task}", "Graph"),
        ("/{slug}/flow-run/{run}?logs", "Logs"),
        ("/{slug}/flow-run/{run}?artifacts", "Artifacts"),
        ("/{slug}/task-run/{task_run}?logs", "Logs"),
        ("/{slug}/task-run/{task_run}?artifacts", "Artifacts"),
    ],
)
async def test_tabs_of_the_old_page_open_the_same_part_of_ours(
    browser: Browser, world: World, address: str, tab: str
) -> None:
    context = await browser.new_context()
    watched = Watched.of(await context.new_page(), world.url)

    await watched.page.goto(
        world.url + address.format(**{name: getattr(world, name) for name in world.__slots__})
    )

    await expect(watched.page.get_by_role("tab", name=tab, exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    await context.close()
    assert watched.faults == []


@pytest.mark.parametrize("address", ["/{slug}/flow-run/{run}", "/{slug}/flow/{group}"])
async def test_a_task_that_an_old_link_names_is_marked_in_the_graph(
    browser: Browser, world: World, address: str
) -> None:
    context = await browser.new_context()
    watched = Watched.of(await context.new_page(), world.url)

    at = address.format(slug=world.slug, run=world.run, group=world.group)
    await watched.page.goto(f"{world.url}{at}?schematic={world.task}")

    marked = watched.page.locator(".react-flow__node [aria-current=true]")
    await expect(marked).to_have_count(1)
    await expect(marked).to_be_in_viewport()
    await expect(marked).to_have_attribute("title", "extract")
    await context.close()
    assert watched.faults == []


@pytest.mark.parametrize("kind", ["flow", "flow-run", "task-run", "task"])
async def test_a_link_without_an_id_says_so(browser: Browser, world: World, kind: str) -> None:
    context = await browser.new_context()
    page = await context.new_page()

    await page.goto(f"{world.url}/{world.slug}/{kind}/")

    await expect(page.get_by_text("The link has no id.")).to_be_visible()
    await context.close()


async def test_filters_are_in_the_address_and_come_back_with_it(
    browser: Browser, world: World
) -> None:
    watched = await opened(browser, world, "runs")
    page = watched.page

    await page.get_by_text("Failed", exact=True).first.click()
    await page.wait_for_url("**/runs?*failed*")
    await page.get_by_role("table", name="Runs").get_by_role("link").first.click()
    await page.wait_for_url("**/flow-run/*")
    await page.go_back()
    await page.wait_for_url("**/runs?*failed*")
    await expect(page.get_by_label("Failed", exact=True)).to_be_checked()
    await page.context.close()

    assert watched.faults == []


async def test_anything_is_found_by_name_from_the_keyboard(browser: Browser, world: World) -> None:
    watched = await opened(browser, world, "overview")
    page = watched.page

    await page.keyboard.press("Control+k")
    await expect(page.get_by_label("Name or id")).to_be_focused()
    await page.keyboard.type(world.run)
    await expect(page.get_by_role("option").first).to_be_visible()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/flow-run/{world.run}")
    await page.context.close()

    assert watched.faults == []
