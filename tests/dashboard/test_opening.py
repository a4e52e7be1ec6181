"""What is seen before a page's code has come: its frame, where it stays and in the colours that it keeps."""

import asyncio
from typing import Any, Literal

import pytest
from playwright.async_api import Page, Route, expect

from tests.support.browser import PATIENCE, Watched
from tests.support.dashboard_world import World
from tests.support.eventually import eventually

_LOOKS = """below => {
    const root = document.querySelector(below);
    const place = each => {
        const { x, y, width, height } = each.getBoundingClientRect();
        return [x, y, width, height].map(Math.round);
    };
    const main = root.querySelector('main, .frame-page');
    return {
        parts: ['.side', '.brand', 'nav'].map(name => place(root.querySelector(name))),
        // The page that is shown has bold letters, which are a little wider.
        links: [...root.querySelectorAll('nav > a')].map(each => [each.textContent, place(each)[1], place(each)[3]]),
        main: place(main).slice(0, 3),
        ground: getComputedStyle(document.body).backgroundColor,
        paper: getComputedStyle(root.querySelector('.side')).backgroundColor,
        ink: getComputedStyle(root.querySelector('.brand')).color,
    };
}"""
"""Where the parts that every page has stand, and their colours."""
_PAINTED = "performance.getEntriesByName('first-contentful-paint').length"


@pytest.mark.parametrize("width", [1440, 720])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_frame_is_seen_without_any_code_and_nothing_moves_or_changes_colour_when_it_goes(
    page: Page, world: World, theme: Literal["light", "dark"], width: int
) -> None:
    await page.emulate_media(color_scheme=theme)
    await page.set_viewport_size({"width": width, "height": 800})
    watched = Watched.of(page, world.url)
    may_go_on = asyncio.Event()

    async def held(route: Route) -> None:
        await may_go_on.wait()
        await route.continue_()

    async def looks(below: str) -> dict[str, Any]:
        found: dict[str, Any] = await page.evaluate(_LOOKS, below)
        return found

    await page.route("**/assets/index-*.js", held)
    await page.goto(f"{world.url}/{world.slug}", wait_until="commit")
    await expect(page.locator("#frame .brand")).to_be_visible()
    await eventually(lambda: page.evaluate(_PAINTED), timeout=PATIENCE)
    before = await looks("#frame")
    may_go_on.set()
    await watched.settled()

    await expect(page.locator("#frame")).to_have_count(0)
    assert await looks(".shell") == before
    assert watched.faults == []


async def test_the_frame_has_the_theme_that_its_reader_chose(page: Page, world: World) -> None:
    watched = Watched.of(page, world.url)
    await page.goto(f"{world.url}/{world.slug}/agents")
    await watched.settled()
    await page.get_by_role("button", name="Dark theme").click()
    await expect(page.get_by_role("button", name="Light theme")).to_be_visible()

    # Its code never comes.
    await page.route("**/assets/*.js", lambda route: route.abort("connectionfailed"))
    await page.goto(f"{world.url}/{world.slug}/agents", wait_until="commit")
    await expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
