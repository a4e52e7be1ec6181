"""The two themes of the dashboard."""

from typing import Literal

from playwright.async_api import expect

from tests.support.browser import Watched

Theme = Literal["light", "dark"]


async def turn(watched: Watched, theme: Theme) -> None:
    """Show the page in this theme, as its reader's system asks for it, and wait until its colours stand."""
    await watched.page.emulate_media(color_scheme=theme)
    await expect(watched.page.locator("html")).to_have_attribute("data-mantine-color-scheme", theme)
    await watched.drawn()
