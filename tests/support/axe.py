"""What axe finds on a page that a person with a screen reader, or with other eyes, could not use."""

from functools import cache

from playwright.async_api import Page

from services.gateway.dashboard import BUILT_PAGES

_AXE = BUILT_PAGES.parent / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async ([within, options]) => (await axe.run(within, options)).violations
    .filter(found => ['serious', 'critical'].includes(found.impact))
    .map(found => `${found.id}: ${found.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')}`)"""
_OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that look at colours: all that another theme can break."""


@cache
def _script() -> str:
    return _AXE.read_text()


async def serious_faults(
    page: Page, *, within: str = "html", only_colours: bool = False
) -> list[str]:
    """Serious and critical violations below a selector, each with the first elements that have it."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_script())
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if only_colours:
        options["runOnly"] = _OF_COLOURS
    found: list[str] = await page.evaluate(_RUN, [within, options])
    return found
