"""The list of runs and the page of one: found, acted on by many, searched, restarted; by keys alone if one likes."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.dashboard.test_pages import World, furnished, opened
from tests.support.browser import Watched, chromium
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.services import all_services

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as api:
        yield await furnished(api)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest.fixture
async def api(world: World) -> AsyncIterator[Gql]:
    async with Gql(world.url) as found:
        yield found


async def runs_named(api: Gql, world: World, *names: str) -> list[str]:
    """Runs that wait, due now."""
    made = [
        await api(
            "mutation($i: create_flow_run_input!) { create_flow_run(input: $i) { id } }",
            i={"flow_id": world.flow, "flow_run_name": name},
        )
        for name in names
    ]
    return [each["create_flow_run"]["id"] for each in made]


async def states_of(api: Gql, ids: list[str]) -> dict[str, str]:
    found = await api(
        "query($i: [uuid!]!) { flow_run(where: {id: {_in: $i}}) { name state } }", i=ids
    )
    return {run["name"]: run["state"] for run in found["flow_run"]}


async def listed(browser: Browser, world: World, query: str) -> Watched:
    """The list of runs with these filters."""
    context = await browser.new_context(accept_downloads=True)
    watched = Watched.of(await context.new_page(), world.url)
    await watched.page.goto(f"{world.url}/{world.slug}/runs?{query}")
    await expect(watched.page.get_by_role("table", name="Runs")).to_be_visible()
    return watched


def row(page: Page, name: str) -> str:
    return f'[role=row]:has(a:text-is("{name}"))'


async def test_many_runs_are_cancelled_after_a_look_at_which_they_are_and_only_once(
    browser: Browser, world: World, api: Gql
) -> None:
    ids = await runs_named(api, world, "bulk-1", "bulk-2", "bulk-3")
    watched = await listed(browser, world, "q=bulk-")
    page = watched.page

    for name in ("bulk-1", "bulk-2"):
        await page.get_by_label(f"Choose {name}").check()
    await page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text("2 runs").first).to_be_visible()
    assert set((await states_of(api, ids)).values()) == {"Scheduled"}, "a look changes nothing"
    await dialog.get_by_role("button", name="Cancel 2 runs").dblclick()
    await expect(dialog.get_by_text("2 runs").first).to_be_visible()
    await expect(dialog.get_by_text("cancelled.")).to_be_visible()
    await dialog.get_by_role("button", name="Close", exact=True).last.click()

    assert await states_of(api, ids) == {
        "bulk-1": "Cancelled",
        "bulk-2": "Cancelled",
        "bulk-3": "Scheduled",
    }
    await page.context.close()
    assert watched.faults == []


async def test_all_that_match_are_deleted_by_their_number_and_refusals_have_reasons(
    browser: Browser, world: World, api: Gql
) -> None:
    ids = await runs_named(api, world, "gone-1", "gone-2")
    watched = await listed(browser, world, "q=gone-")
    page = watched.page

    await page.get_by_role("button", name="Choose all that match").click()
    await page.get_by_role("button", name="Restart from failed").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Restart from failed 2 runs").click()
    await expect(dialog.get_by_text("Nothing of the run failed")).to_be_visible()
    await page.keyboard.press("Escape")

    await page.get_by_role("button", name="Delete", exact=True).click()
    confirm = dialog.get_by_role("button", name="Delete 2 runs")
    await expect(confirm).to_be_disabled()
    await dialog.get_by_label("Type").fill("2 runs")
    await confirm.click()
    await expect(dialog.get_by_text("deleted.")).to_be_visible()
    await page.context.close()

    assert await states_of(api, ids) == {}
    assert watched.faults == []


async def test_the_list_holds_still_and_counts_what_is_new(
    browser: Browser, world: World, api: Gql
) -> None:
    await runs_named(api, world, "still-1")
    watched = await listed(browser, world, "q=still-")
    page = watched.page
    await expect(page.get_by_text("Live", exact=False).first).to_be_visible()

    await runs_named(api, world, "still-2")
    await expect(page.get_by_role("button", name="1 new")).to_be_visible()
    await expect(page.locator(row(page, "still-2"))).to_have_count(0)
    await page.get_by_role("button", name="1 new").click()
    await expect(page.locator(row(page, "still-2"))).to_be_visible()
    await expect(page.get_by_role("button", name="1 new")).to_have_count(0)
    await page.context.close()

    assert watched.faults == []


async def test_a_run_that_is_seen_changes_in_its_place(
    browser: Browser, world: World, api: Gql
) -> None:
    [run] = await runs_named(api, world, "in-place")
    watched = await listed(browser, world, "q=in-place&is=waiting")
    page = watched.page
    await expect(page.get_by_text("Live", exact=False).first).to_be_visible()

    await api("mutation($i: UUID!) { cancel_flow_run(input: {flow_run_id: $i}) { state } }", i=run)

    await expect(page.locator(row(page, "in-place")).get_by_text("Cancelled")).to_be_visible(
        timeout=10_000
    )
    await page.context.close()
    assert watched.faults == []


async def test_the_bars_say_when_runs_were_due_and_narrow_the_list_to_an_hour(
    browser: Browser, world: World, api: Gql
) -> None:
    await runs_named(api, world, "bar-1", "bar-2")
    watched = await listed(browser, world, "q=bar-")
    page = watched.page
    bars = page.get_by_role("group", name="Choose an hour")

    await bars.get_by_role("button", name="2 runs: 2 waiting").click()
    await page.wait_for_url("**from=*")
    await expect(page.locator(row(page, "bar-1"))).to_be_visible()
    # One stop for the Tab key; arrows go on from there.
    assert await bars.locator("button[tabindex='0']").count() == 1
    await page.go_back()
    await expect(bars.get_by_role("button", name="2 runs: 2 waiting")).to_be_visible()
    await page.context.close()

    assert watched.faults == []


async def test_filters_are_saved_under_a_name_and_found_again(
    browser: Browser, world: World
) -> None:
    watched = await listed(browser, world, "is=failed")
    page = watched.page
    await page.get_by_role("button", name="Views").click()
    await page.get_by_role("menuitem", name="Save these filters").click()
    await page.get_by_label("Name", exact=True).fill("what broke")
    await page.get_by_role("button", name="Save", exact=True).click()

    await page.goto(f"{world.url}/{world.slug}/runs")
    await page.get_by_role("button", name="All runs").click()
    await page.get_by_role("menuitem", name="what broke", exact=True).click()
    await page.wait_for_url("**is=*failed*")
    await expect(page.get_by_role("button", name="what broke")).to_be_visible()
    await page.context.close()

    assert watched.faults == []


async def test_all_that_match_come_as_csv(
    browser: Browser, world: World, api: Gql, tmp_path: Path
) -> None:
    await runs_named(api, world, "csv-1", "csv-2")
    watched = await listed(browser, world, "q=csv-")
    page = watched.page

    await page.get_by_role("button", name="Download").click()
    async with page.expect_download() as download:
        await page.get_by_role("menuitem", name="CSV of all that match").click()
    await (await download.value).save_as(tmp_path / "runs.csv")
    await page.context.close()

    lines = (tmp_path / "runs.csv").read_text().splitlines()
    assert lines[0].startswith("id,name,state")
    assert sorted(line.split(",")[1] for line in lines[1:]) == ["csv-1", "csv-2"]
    assert watched.faults == []


async def test_a_word_far_up_in_the_log_is_found_on_the_server_and_shown_in_its_place(
    browser: Browser, world: World
) -> None:
    watched = await opened(browser, world, "logs")
    page = watched.page
    lines = page.get_by_role("log")

    await page.get_by_label("Text in the log").fill("line 7")
    await expect(page.get_by_text("of 111 lines, at line 8")).to_be_visible()
    await expect(lines.get_by_text("line 7 of many")).to_be_visible()
    # The lines around it are there, too: it is a place in the log, not a list of matches.
    await expect(lines.get_by_text("line 8 of many")).to_be_visible()
    await lines.focus()
    await page.keyboard.press("n")
    await expect(page.get_by_text("of 111 lines, at line 71")).to_be_visible()
    await page.keyboard.press("Shift+N")
    await page.keyboard.press("Shift+N")
    await expect(page.get_by_text("of 111 lines, at line 800")).to_be_visible()
    await expect(lines.get_by_text("line 799 of many")).to_be_visible()
    await page.context.close()

    assert watched.faults == []


async def test_a_log_is_saved_as_the_search_box_says(
    browser: Browser, world: World, tmp_path: Path
) -> None:
    watched = await opened(browser, world, "logs")
    page = watched.page

    await page.get_by_label("Text in the log").fill("line 7")
    await page.get_by_text("Only matches").click()
    await page.get_by_role("button", name="Download").click()
    async with page.expect_download() as download:
        await page.get_by_role("menuitem", name="Text", exact=True).click()
    await (await download.value).save_as(tmp_path / "run.log")
    address = await page.get_by_role("menuitem", name="NDJSON, compressed").count()
    await page.context.close()

    assert len((tmp_path / "run.log").read_text().splitlines()) == 111
    assert address in (0, 1)
    assert watched.faults == []


async def test_a_line_of_the_log_has_a_link_that_opens_there_and_goes_on_down(
    browser: Browser, world: World
) -> None:
    async with httpx.AsyncClient(base_url=world.url) as client:
        found = await client.get(
            f"/api/flow-runs/{world.run}/logs/search", params={"text": "line 100 of"}
        )
    line = found.json()["matches"][0]["id"]
    context = await browser.new_context()
    watched = Watched.of(await context.new_page(), world.url)
    page = watched.page
    await page.goto(f"{world.url}/{world.slug}/flow-run/{world.run}?logId={line}")
    lines = page.get_by_role("log")
    await expect(lines.locator(".marked")).to_contain_text("line 100 of many")

    async def at_the_end() -> bool:
        await lines.evaluate("box => { box.scrollTop = box.scrollHeight }")
        return await lines.get_by_text(world.last_line).count() > 0

    await eventually(at_the_end, timeout=30.0)
    await context.close()

    assert watched.faults == []


async def test_a_late_run_says_why_and_leads_to_what_is_in_its_way(
    browser: Browser, world: World, api: Gql, stack: Stack
) -> None:
    [run] = await runs_named(api, world, "why-late")
    await stack.admin_pool.execute(
        "UPDATE runs.flow_run SET scheduled_start_time = now() - interval '5 minutes',"
        " state_start_time = now() - interval '5 minutes' WHERE id = $1::uuid",
        run,
    )
    context = await browser.new_context()
    watched = Watched.of(await context.new_page(), world.url)
    page = watched.page
    await page.goto(f"{world.url}/{world.slug}/flow-run/{run}")

    # The ledger looks for late runs every few seconds, and the page after it.
    await expect(page.get_by_text("Why it is late:")).to_be_visible(timeout=40_000)
    await expect(page.get_by_text("No agent has ever asked for work here.")).to_be_visible()
    await page.get_by_role("link", name="See the agents").first.click()
    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()
    await context.close()

    assert watched.faults == []


async def test_from_a_failed_run_to_its_task_its_log_and_a_restart_in_fifteen_keys(
    browser: Browser, world: World, api: Gql
) -> None:
    watched = await opened(browser, world, "overview")
    page = watched.page
    keys = 0

    async def press(*names: str) -> None:
        nonlocal keys
        for name in names:
            keys += 1
            await page.keyboard.press(name)

    await press("j", "Enter")
    await page.wait_for_url(f"**/flow-run/{world.run}")
    await expect(page.get_by_role("heading", name="First failures")).to_be_visible()
    await press("j", "Enter")
    await page.wait_for_url(f"**/task-run/{world.task_run}**")
    await expect(page.get_by_text("ValueError").first).to_be_visible()
    # The run's page shows that text, too, and the address changes first.
    above = page.locator("main .crumbs a").last
    await expect(above).to_have_attribute("href", re.compile("/flow-run/"))
    await press("u")
    await page.wait_for_url(f"**/flow-run/{world.run}")
    await expect(page.get_by_role("tab", name="Logs")).to_be_visible()
    await press("l")
    await expect(page.get_by_role("log").get_by_text(world.last_line)).to_be_visible()
    await press("r")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await expect(page.get_by_role("button", name="Restart", exact=True)).to_be_focused()
    await press("Enter")

    await expect(page.get_by_text("Restarted by a person.").first).to_be_visible()
    found = await api(
        "query($r: uuid!) { flow_run_by_pk(id: $r) { state } task_run_by_pk(id: $t) { state } }".replace(
            "($r: uuid!)", "($r: uuid!, $t: uuid!)"
        ),
        r=world.run,
        t=world.task_run,
    )
    await page.context.close()

    assert keys <= 15
    assert (found["flow_run_by_pk"]["state"], found["task_run_by_pk"]["state"]) == (
        "Scheduled",
        "Pending",
    )
    assert watched.faults == []


async def test_the_keys_are_listed_and_lead_from_page_to_page(
    browser: Browser, world: World
) -> None:
    watched = await opened(browser, world, "overview")
    page = watched.page

    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    await expect(dialog.get_by_text("Next row")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await page.keyboard.type("gr")
    await expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    # What is typed into a field is text.
    await page.get_by_label("Name or id").fill("")
    await page.get_by_label("Name or id").type("go")
    await expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    await page.context.close()

    assert watched.faults == []
