"""Large things in a real browser: what is looked at is drawn and the rest is reached, however much there is."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from tests.bench.dashboard_rows import CHILDREN, TASKS, Rows, write_rows
from tests.support.browser import PATIENCE, Watched
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.services import all_services

# One site for all of them, which one worker has.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("large")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A tenant with 201 flows, 3,000 tasks in one of them, and a run of three tasks with 10,000 children each."""

    url: str
    slug: str
    rows: Rows

    async def opened(self, page: Page, path: str) -> Watched:
        """A page, when it has shown what it shows."""
        await page.set_viewport_size({"width": 1280, "height": 860})
        watched = Watched.of(page, self.url)
        await page.goto(f"{self.url}/{self.slug}{path}")
        await watched.settled()
        return watched


@pytest.fixture(scope="module")
async def site(stack: Stack) -> AsyncIterator[Site]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as api:
        tenant = (await api("{ tenant { id slug } }"))["tenant"][0]
        rows = await write_rows(stack.admin_pool, UUID(tenant["id"]), runs=400, lines=100)
        yield Site(url=api.url, slug=tenant["slug"], rows=rows)


async def colours_of_canvas(page: Page) -> int:
    """How many of the canvas' pixels are painted."""
    found: int = await page.evaluate(
        """() => {
            const canvas = document.querySelector('.react-flow canvas');
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return data.filter((value, at) => at % 4 === 3 && value > 0).length;
        }"""
    )
    return found


async def test_a_graph_of_thousands_begins_where_it_can_be_read_and_is_shown_whole_on_demand(
    page: Page, site: Site
) -> None:
    watched = await site.opened(page, f"/flow/{site.rows.wide_flow_group}?tab=graph")
    nodes = page.locator(".react-flow__node")
    await expect(nodes.get_by_text("wide-", exact=False).first).to_be_visible()
    assert await nodes.count() <= 250 < TASKS
    await eventually(lambda: colours_of_canvas(page), timeout=PATIENCE)

    await page.get_by_role("button", name="Show the whole graph").click()
    # From afar each task is a dot; a click goes to what is there.
    await expect(nodes).to_have_count(0)
    box = await page.locator(".react-flow").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await expect(nodes.first).to_be_visible()

    assert watched.faults == []


async def test_all_children_of_a_mapped_task_are_one_list_and_the_last_is_two_steps_away(
    page: Page, site: Site
) -> None:
    watched = await site.opened(page, f"/flow-run/{site.rows.mapped_run}")
    await page.get_by_role("button", name="Children").first.click()
    children = page.get_by_label("Mapped children")
    await expect(children.get_by_text("[0]")).to_be_visible()

    async def at_the_last() -> bool:
        await children.evaluate("box => { box.scrollTop = box.scrollHeight }")
        return await children.get_by_text(f"[{CHILDREN - 1}]").is_visible()

    await eventually(at_the_last, timeout=PATIENCE)
    assert await children.get_by_role("row").count() < 100
    # The one that failed is named above the list.
    await page.get_by_role("link", name=f"[{CHILDREN - 1}]", exact=True).first.click()
    await expect(page).to_have_url(re.compile("/task-run/"))

    assert watched.faults == []


async def test_a_long_list_of_flows_draws_the_rows_on_screen_and_finds_every_flow(
    page: Page, site: Site
) -> None:
    watched = await site.opened(page, "/flows")
    rows = page.locator("main tbody tr:not([aria-hidden])")
    await expect(rows.first).to_contain_text("flow-0")
    assert 10 < await rows.count() < 100

    async def at_the_end() -> bool:
        await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        return await rows.last.get_by_text("flow-99").count() > 0

    await eventually(at_the_end, timeout=PATIENCE)
    assert await rows.count() < 100
    await page.get_by_label("Name", exact=True).fill("flow-123")
    await expect(rows).to_have_count(1)
    await rows.get_by_role("link").nth(1).click()
    await expect(page).to_have_url(re.compile("/flow-run/"))

    assert watched.faults == []
