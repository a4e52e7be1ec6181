"""The list of runs and the page of one: found, acted on by many, searched, restarted; by keys alone if one likes."""

import re
from pathlib import Path

import httpx
from playwright.async_api import Locator, Page, expect

from tests.support.browser import PATIENCE, Watched
from tests.support.dashboard_world import (
    World,
    a_run,
    fail_one_task,
    is_live,
    opened,
    write_line,
)
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql


async def runs_named(api: Gql, world: World, *names: str, **fields: object) -> list[str]:
    """Runs that wait, due now if `fields` do not say when."""
    return [(await a_run(api, world, name, **fields)).id for name in names]


async def states_of(api: Gql, ids: list[str]) -> dict[str, str]:
    found = await api(
        "query($i: [uuid!]!) { flow_run(where: {id: {_in: $i}}) { name state } }", i=ids
    )
    return {run["name"]: run["state"] for run in found["flow_run"]}


async def listed(page: Page, world: World, query: str) -> Watched:
    """The list of runs with these filters, when it has been read."""
    watched = Watched.of(page, world.url)
    await page.goto(f"{world.url}/{world.slug}/runs?{query}")
    await expect(page.get_by_role("table", name="Runs")).to_be_visible()
    await watched.settled()
    return watched


def row(page: Page, name: str) -> Locator:
    return page.locator(f'[role=row]:has(a:text-is("{name}"))')


async def saved(page: Page, item: str, path: Path) -> str:
    """What a file holds that the button "Download" offers under this name."""
    await page.get_by_role("button", name="Download").click()
    chosen = page.get_by_role("menuitem", name=item, exact=True)
    await expect(chosen).to_be_visible()
    async with page.expect_download(timeout=PATIENCE * 1000) as download:
        await chosen.click()
    await (await download.value).save_as(path)
    return path.read_text()


async def test_many_runs_are_cancelled_after_a_look_at_which_they_are_and_only_once(
    page: Page, world: World, api: Gql
) -> None:
    ids = await runs_named(api, world, "bulk-1", "bulk-2", "bulk-3")
    watched = await listed(page, world, "q=bulk-")

    for name in ("bulk-1", "bulk-2"):
        await page.get_by_label(f"Choose {name}").check()
    await expect(page.get_by_text("2 chosen")).to_be_visible()
    await page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text("2 runs").first).to_be_visible()
    assert set((await states_of(api, ids)).values()) == {"Scheduled"}, "a look changes nothing"
    await dialog.get_by_role("button", name="Cancel 2 runs").dblclick()
    await expect(dialog.get_by_text("2 runs cancelled.")).to_be_visible()
    await dialog.get_by_role("button", name="Close", exact=True).last.click()
    await expect(dialog).to_have_count(0)
    await watched.settled()

    assert await states_of(api, ids) == {
        "bulk-1": "Cancelled",
        "bulk-2": "Cancelled",
        "bulk-3": "Scheduled",
    }
    assert watched.faults == []


async def test_all_that_match_are_deleted_by_their_number_and_refusals_have_reasons(
    page: Page, world: World, api: Gql
) -> None:
    ids = await runs_named(api, world, "gone-1", "gone-2")
    watched = await listed(page, world, "q=gone-")
    dialog = page.get_by_role("dialog")

    await page.get_by_role("button", name="Choose all that match").click()
    await page.get_by_role("button", name="Restart from failed").click()
    await dialog.get_by_role("button", name="Restart from failed 2 runs").click()
    await expect(dialog.get_by_text("Nothing of the run failed")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)

    await page.get_by_role("button", name="Delete", exact=True).click()
    confirm = dialog.get_by_role("button", name="Delete 2 runs")
    await expect(confirm).to_be_disabled()
    await dialog.get_by_label("Type").fill("2 runs")
    await confirm.click()
    await expect(dialog.get_by_text("2 runs deleted.")).to_be_visible()
    await watched.settled()

    assert await states_of(api, ids) == {}
    assert watched.faults == []


async def test_the_list_holds_still_and_counts_what_is_new(
    page: Page, world: World, api: Gql
) -> None:
    await runs_named(api, world, "still-1")
    watched = await listed(page, world, "q=still-")
    await is_live(page)

    await runs_named(api, world, "still-2")
    await expect(page.get_by_role("button", name="1 new")).to_be_visible()
    assert await row(page, "still-2").count() == 0, "it is counted, and nothing moves"
    await page.get_by_role("button", name="1 new").click()
    await expect(row(page, "still-2")).to_be_visible()
    await expect(page.get_by_role("button", name="1 new")).to_have_count(0)

    assert watched.faults == []


async def test_a_run_that_is_seen_changes_in_its_place(page: Page, world: World, api: Gql) -> None:
    [run] = await runs_named(api, world, "in-place")
    watched = await listed(page, world, "q=in-place&is=waiting")
    await expect(row(page, "in-place").get_by_text("Scheduled")).to_be_visible()
    await is_live(page)

    await api("mutation($i: UUID!) { cancel_flow_run(input: {flow_run_id: $i}) { state } }", i=run)

    await expect(row(page, "in-place").get_by_text("Cancelled")).to_be_visible()
    assert watched.faults == []


async def test_the_bars_say_when_runs_were_due_and_narrow_the_list_to_an_hour(
    page: Page, world: World, api: Gql
) -> None:
    [first] = await runs_named(api, world, "bar-1")
    found = await api(
        "query($i: uuid!) { flow_run_by_pk(id: $i) { scheduled_start_time } }", i=first
    )
    # Due in the same hour, also where the hour ends between the two.
    due = found["flow_run_by_pk"]["scheduled_start_time"]
    await runs_named(api, world, "bar-2", scheduled_start_time=due)
    watched = await listed(page, world, "q=bar-")
    bars = page.get_by_role("group", name="Choose an hour")

    await bars.get_by_role("button", name="2 runs: 2 waiting").click()
    await page.wait_for_url("**from=*")
    await watched.settled()
    await expect(row(page, "bar-1")).to_be_visible()
    await expect(bars.get_by_role("button")).to_have_count(1)
    # One stop for the Tab key; arrows go on from there.
    await expect(bars.locator("button[tabindex='0']")).to_have_count(1)
    await page.go_back()
    await expect(bars.get_by_role("button", name="2 runs: 2 waiting")).to_be_visible()
    await expect(bars.get_by_role("button")).to_have_count(24)

    assert watched.faults == []


async def test_filters_are_saved_under_a_name_and_found_again(page: Page, world: World) -> None:
    watched = Watched.of(page, world.url)
    await page.goto(f"{world.url}/{world.slug}/runs?is=failed")
    await watched.settled()
    await page.get_by_role("button", name="Views").click()
    await page.get_by_role("menuitem", name="Save these filters").click()
    await page.get_by_label("Name", exact=True).fill("what broke")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("button", name="what broke")).to_be_visible()

    await page.goto(f"{world.url}/{world.slug}/runs")
    await watched.settled()
    await page.get_by_role("button", name="All runs").click()
    await page.get_by_role("menuitem", name="what broke", exact=True).click()
    await page.wait_for_url("**is=*failed*")
    await expect(page.get_by_role("button", name="what broke")).to_be_visible()
    await watched.settled()

    assert watched.faults == []


async def test_all_that_match_come_as_csv(
    page: Page, world: World, api: Gql, tmp_path: Path
) -> None:
    await runs_named(api, world, "csv-1", "csv-2")
    watched = await listed(page, world, "q=csv-")

    text = await saved(page, "CSV of all that match", tmp_path / "runs.csv")

    lines = text.splitlines()
    assert lines[0].startswith("id,name,state")
    assert sorted(line.split(",")[1] for line in lines[1:]) == ["csv-1", "csv-2"]
    assert watched.faults == []


async def test_a_word_far_up_in_the_log_is_found_on_the_server_and_shown_in_its_place(
    reading_page: Page, world: World
) -> None:
    page = reading_page
    watched = await opened(page, world, "logs")
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

    assert watched.faults == []


async def test_a_log_is_saved_as_the_search_box_says(
    page: Page, world: World, tmp_path: Path
) -> None:
    watched = await opened(page, world, "logs")

    await page.get_by_label("Text in the log").fill("line 7")
    await page.get_by_label("Only matches").check()
    # At once: what stands in the box is saved, whether the search for it has begun or not.
    text = await saved(page, "Text", tmp_path / "run.log")

    assert len(text.splitlines()) == 111
    assert watched.faults == []


async def test_a_line_of_the_log_has_a_link_that_opens_there_and_goes_on_down(
    reading_page: Page, world: World
) -> None:
    async with httpx.AsyncClient(base_url=world.url, timeout=PATIENCE) as client:
        found = await client.get(
            f"/api/flow-runs/{world.run}/logs/search", params={"text": "line 100 of"}
        )
    line = found.json()["matches"][0]["id"]
    watched = Watched.of(reading_page, world.url)
    await reading_page.goto(f"{world.url}/{world.slug}/flow-run/{world.run}?logId={line}")
    lines = reading_page.get_by_role("log")
    await expect(lines.locator(".marked")).to_contain_text("line 100 of many")

    async def at_the_end() -> bool:
        await lines.evaluate("box => { box.scrollTop = box.scrollHeight }")
        return await lines.get_by_text(world.last_line).count() > 0

    await eventually(at_the_end, timeout=PATIENCE)

    assert watched.faults == []


async def test_a_late_run_says_why_and_leads_to_what_is_in_its_way(
    page: Page, world: World, api: Gql, shared_stack: Stack
) -> None:
    [run] = await runs_named(api, world, "why-late")
    await shared_stack.admin_pool.execute(
        "UPDATE runs.flow_run SET scheduled_start_time = now() - interval '5 minutes',"
        " state_start_time = now() - interval '5 minutes' WHERE id = $1::uuid",
        run,
    )
    watched = Watched.of(page, world.url)
    await page.goto(f"{world.url}/{world.slug}/flow-run/{run}")

    # The ledger looks for late runs every few seconds, and the page after it.
    await expect(page.get_by_text("Why it is late:")).to_be_visible()
    await expect(page.get_by_text("No agent has ever asked for work here.")).to_be_visible()
    await page.get_by_role("link", name="See the agents").first.click()
    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()
    await watched.settled()

    assert watched.faults == []


class Keyboard:
    """The keys of a page, and how many were pressed."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.pressed = 0

    async def press(self, *names: str) -> None:
        for name in names:
            self.pressed += 1
            await self._page.keyboard.press(name)


async def test_from_a_failed_run_to_its_task_its_log_and_a_restart_in_fifteen_keys(
    page: Page, world: World, api: Gql
) -> None:
    [run] = await runs_named(api, world, "by keys")
    task_run = await fail_one_task(api, run)
    await write_line(api, run, "the line by keys")
    watched = await opened(page, world, "overview")
    # What failed last is the first row.
    first = page.get_by_role("region", name="Failed", exact=True).get_by_role("link").first
    await expect(first).to_have_attribute("href", re.compile(run))
    keys = Keyboard(page)

    await keys.press("j", "Enter")
    await page.wait_for_url(f"**/flow-run/{run}")
    await expect(page.get_by_role("heading", name="First failures")).to_be_visible()
    await keys.press("j", "Enter")
    await page.wait_for_url(f"**/task-run/{task_run}**")
    # The address changes first; the run's page has other crumbs.
    above = page.locator("main .crumbs a").last
    await expect(above).to_have_attribute("href", re.compile("/flow-run/"))
    await expect(page.get_by_text("ValueError").first).to_be_visible()
    await keys.press("u")
    await page.wait_for_url(f"**/flow-run/{run}")
    await expect(page.get_by_role("tab", name="Logs")).to_be_visible()
    await keys.press("l")
    await expect(page.get_by_role("log").get_by_text("the line by keys")).to_be_visible()
    await keys.press("r")
    await expect(page.get_by_role("button", name="Restart", exact=True)).to_be_focused()
    await keys.press("Enter")

    await expect(page.get_by_text("Restarted by a person.").first).to_be_visible()
    found = await api(
        "query($r: uuid!, $t: uuid!) { flow_run_by_pk(id: $r) { state } task_run_by_pk(id: $t) { state } }",
        r=run,
        t=task_run,
    )
    await watched.settled()

    assert keys.pressed <= 15
    assert found["flow_run_by_pk"]["state"] == "Scheduled"
    assert found["task_run_by_pk"]["state"] == "Pending"
    assert watched.faults == []


async def test_the_keys_are_listed_and_lead_from_page_to_page(page: Page, world: World) -> None:
    watched = await opened(page, world, "overview")

    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    await expect(dialog.get_by_text("Next row")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await page.keyboard.type("gr")
    await expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    await watched.settled()
    # What is typed into a field is text: `g o` would go to the overview.
    box = page.get_by_role("search").get_by_label("Name or id")
    await box.fill("")
    await box.press_sequentially("go")
    await page.wait_for_url("**/runs?q=go")
    await expect(box).to_have_value("go")
    await watched.settled()

    assert watched.faults == []


async def test_a_key_that_is_pressed_as_soon_as_its_page_is_seen_is_heard(
    page: Page, world: World
) -> None:
    # Pressed in the very turn in which the page comes into the document, before anything else of it runs.
    await page.add_init_script(
        """new MutationObserver((_, observer) => {
            if (!document.querySelector('main [role=tablist]')) return;
            observer.disconnect();
            document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'l', bubbles: true }));
        }).observe(document, { childList: true, subtree: true });"""
    )
    await page.goto(f"{world.url}/{world.slug}/flow-run/{world.run}")

    await page.wait_for_url("**/flow-run/*tab=logs")
    await expect(page.get_by_role("tab", name="Logs")).to_have_attribute("aria-selected", "true")
