"""The pictures of the README: pages of a tenant after two weeks of work. `make screenshots` draws them again."""

import base64
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, expect

from services.gateway.dashboard import BUILT_PAGES
from tests.support.browser import Watched
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services
from tests.support.showcase import Showcase, furnish, keep_agents_alive

Theme = Literal["dark", "light"]

FOLDER = BUILT_PAGES.parent / "screenshots"
README = BUILT_PAGES.parents[2] / "README.md"
DRAWN = {
    "overview": "light",
    "run": "dark",
    "flow": "light",
    "calendar": "dark",
}
"""Each page that is shown, and in which theme."""
MOST_BYTES = 80_000

pytestmark = pytest.mark.xdist_group("screenshots")


@pytest.fixture(scope="module")
async def shown(stack: Stack) -> AsyncIterator[tuple[str, Showcase]]:
    async with all_services(stack) as gateway, Gql(f"http://127.0.0.1:{gateway.port}") as api:
        showcase = await furnish(api, stack.admin_pool)
        await keep_agents_alive(stack.admin_pool)
        yield api.url, showcase


@pytest.mark.parametrize("name", DRAWN)
async def test_each_picture_of_the_readme_can_be_drawn_again(
    browser: Browser, shown: tuple[str, Showcase], name: str
) -> None:
    url, showcase = shown
    theme: Theme = "dark" if DRAWN[name] == "dark" else "light"
    context = await browser.new_context(
        color_scheme=theme,
        viewport={"width": 1200, "height": 760},
        reduced_motion="reduce",
        timezone_id="Europe/Berlin",
    )
    watched = Watched.of(await context.new_page(), url)

    await watched.page.goto(url + showcase.pages[name])
    await watched.settled()
    if name == "flow":
        await expect(watched.page.locator(".trend canvas")).to_be_visible()
    if name == "overview":
        bar = watched.page.locator(".histogram .bars span:not(.rest)").first
        await expect(bar).to_be_visible()
    await watched.drawn()
    session = await context.new_cdp_session(watched.page)
    drawn = await session.send("Page.captureScreenshot", {"format": "webp", "quality": 80})
    picture = base64.b64decode(drawn["data"])
    await context.close()

    assert watched.faults == []
    assert len(picture) < MOST_BYTES
    if os.environ.get("HEADWATER_DRAW_SCREENSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.webp").write_bytes(picture)


def test_the_readme_shows_every_picture_and_no_other() -> None:
    named = set(re.findall(r"services/dashboard/screenshots/([\w-]+\.webp)", README.read_text()))

    assert named == {f"{name}.webp" for name in DRAWN}
    assert named == {path.name for path in Path(FOLDER).glob("*")}
