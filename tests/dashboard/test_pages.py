"""Every page of the dashboard in a real browser, on real services, with content that means harm."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.support.axe import serious_faults
from tests.support.browser import Watched
from tests.support.dashboard_world import BIG, EVIL, PAGES, World, opened
from tests.support.gql import Gql
from tests.support.themes import turn


@pytest.mark.parametrize("name", PAGES)
async def test_every_page_is_whole_harmless_and_accessible_in_both_themes(
    reading_page: Page, world: World, name: str
) -> None:
    await reading_page.emulate_media(color_scheme="dark")
    watched = await opened(reading_page, world, name)

    await turn(watched, "dark")
    in_dark = await serious_faults(reading_page)
    await turn(watched, "light")
    # The page is the same one in other colours.
    in_light = await serious_faults(reading_page, only_colours=True)

    assert watched.faults == []
    assert await reading_page.evaluate("window.harmed ?? null") is None
    assert in_dark == []
    assert in_light == []


@pytest.mark.parametrize(
    "name", ["overview", "runs", "run", "logs", "team", "automations", "inbox"]
)
async def test_a_narrow_screen_needs_no_sideways_scrolling(
    reading_page: Page, world: World, name: str
) -> None:
    await reading_page.set_viewport_size({"width": 320, "height": 640})
    await opened(reading_page, world, name)

    wide = await reading_page.evaluate("document.documentElement.scrollWidth")

    assert wide <= 320


async def test_the_log_opens_at_its_end_and_a_line_far_above_is_found(
    reading_page: Page, world: World
) -> None:
    watched = await opened(reading_page, world, "logs")
    lines = reading_page.get_by_role("log")

    await expect(lines.get_by_text(world.last_line)).to_be_visible()
    await reading_page.get_by_label("Text in the log").fill("line 7 of")
    await expect(lines.locator("mark")).to_have_text("line 7 of")

    assert watched.faults == []


async def test_what_failed_first_is_said_on_the_run_with_a_link_to_its_task(
    reading_page: Page, world: World
) -> None:
    watched = await opened(reading_page, world, "run")
    page = reading_page

    await expect(page.get_by_role("heading", name="First failures")).to_be_visible()
    await expect(page.get_by_text("ValueError").first).to_be_visible()
    await page.locator(f'a[href$="/task-run/{world.task_run}"]').first.click()
    # The run's page shows that text, too: it is the other page that must.
    await expect(page.get_by_role("heading", name="First failures")).to_have_count(0)
    await expect(page.get_by_text("ValueError").first).to_be_visible()
    assert page.url.endswith(f"/task-run/{world.task_run}")

    assert watched.faults == []


async def test_a_run_is_made_from_the_form_with_numbers_that_javascript_cannot_hold(
    page: Page, world: World
) -> None:
    watched = await opened(page, world, "new run")

    await expect(page.get_by_label("big")).to_have_value(str(BIG))
    await page.get_by_role("button", name="Run", exact=True).click()
    await page.wait_for_url("**/flow-run/*")
    async with Gql(world.url) as api:
        made = await api(
            "query($i: uuid!) { flow_run_by_pk(id: $i) { parameters } }",
            i=page.url.rpartition("/")[2],
        )
    await watched.settled()

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
        ("/notifications", "Inbox"),
        ("/login", "Overview"),
        # what an invitation's link becomes when it is cut off
        ("/accept", "Invitation"),
        # the start page's own keys
        ("/{slug}?flows=orders", "Flows"),
        ("/{slug}?calendar", "Week of"),
        ("/{slug}/flow/{group}?run", "Run flow"),
    ],
)
async def test_addresses_that_clients_print_and_people_keep_land(
    reading_page: Page, world: World, address: str, heading: str
) -> None:
    watched = Watched.of(reading_page, world.url)

    await reading_page.goto(
        world.url + address.format(**{name: getattr(world, name) for name in world.__slots__})
    )

    await expect(reading_page.locator("h1")).to_contain_text(heading)
    await watched.settled()
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
    reading_page: Page, world: World, address: str, tab: str
) -> None:
    watched = Watched.of(reading_page, world.url)

    await reading_page.goto(
        world.url + address.format(**{name: getattr(world, name) for name in world.__slots__})
    )

    await expect(reading_page.get_by_role("tab", name=tab, exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    await watched.settled()
    assert watched.faults == []


@pytest.mark.parametrize("address", ["/{slug}/flow-run/{run}", "/{slug}/flow/{group}"])
async def test_a_task_that_an_old_link_names_is_marked_in_the_graph(
    reading_page: Page, world: World, address: str
) -> None:
    watched = Watched.of(reading_page, world.url)

    at = address.format(slug=world.slug, run=world.run, group=world.group)
    await reading_page.goto(f"{world.url}{at}?schematic={world.task}")

    marked = reading_page.locator(".react-flow__node [aria-current=true]")
    await expect(marked).to_have_count(1)
    await expect(marked).to_be_in_viewport()
    await expect(marked).to_have_attribute("title", "extract")
    assert watched.faults == []


@pytest.mark.parametrize("kind", ["flow", "flow-run", "task-run", "task"])
async def test_a_link_without_an_id_says_so(reading_page: Page, world: World, kind: str) -> None:
    await reading_page.goto(f"{world.url}/{world.slug}/{kind}/")

    await expect(reading_page.get_by_text("The link has no id.")).to_be_visible()


async def test_filters_are_in_the_address_and_come_back_with_it(page: Page, world: World) -> None:
    watched = await opened(page, world, "runs")
    runs = page.get_by_role("table", name="Runs")

    await page.get_by_text("Failed", exact=True).first.click()
    await page.wait_for_url("**/runs?*failed*")
    await watched.settled()
    await runs.get_by_role("link").first.click()
    await page.wait_for_url("**/flow-run/*")
    await page.go_back()
    await page.wait_for_url("**/runs?*failed*")
    await expect(page.get_by_label("Failed", exact=True)).to_be_checked()
    await expect(runs.get_by_role("link").first).to_be_visible()

    assert watched.faults == []


async def test_anything_is_found_by_name_from_the_keyboard(page: Page, world: World) -> None:
    watched = await opened(page, world, "overview")

    await page.keyboard.press("Control+k")
    await expect(page.get_by_label("Name or id")).to_be_focused()
    await page.keyboard.type(world.run)
    # Who knows the id does not wait for the answer.
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/flow-run/{world.run}")
    await watched.settled()

    assert watched.faults == []


async def test_what_is_looked_for_is_listed_and_chosen_with_the_arrows(
    page: Page, world: World
) -> None:
    watched = await opened(page, world, "overview")

    await page.keyboard.press("/")
    await expect(page.get_by_label("Name or id")).to_be_focused()
    await page.keyboard.type("l")
    chosen = page.get_by_role("option", selected=True)
    await expect(chosen).to_contain_text("Flows")
    await page.keyboard.press("ArrowDown")
    await expect(chosen).to_contain_text("Calendar")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("^Week of"))

    assert watched.faults == []
