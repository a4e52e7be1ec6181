"""One browser for the session, and a tenant that is filled once; each test has a context of its own, or reads only."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.browser import PATIENCE, chromium
from tests.support.dashboard_world import EVIL, World, add_automation, furnished
from tests.support.engines import Stack, TestPostgres, stack_on
from tests.support.gql import Gql
from tests.support.services import all_services

# A tab is hidden when its window says so; a browser without a screen shows all of them.
_HIDEABLE = """
window.hide = (is) => {
  for (const [name, value] of [["hidden", is], ["visibilityState", is ? "hidden" : "visible"]])
    Object.defineProperty(document, name, { configurable: true, get: () => value });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def _context(browser: Browser) -> BrowserContext:
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    await context.add_init_script(_HIDEABLE)
    return context


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser that remembers nothing of other tests."""
    context = await _context(browser)
    yield context
    await context.close()


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    """A tab of a browser that remembers nothing."""
    return await context.new_page()


@pytest.fixture(scope="session")
async def reading(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser for tests that only look: it has the files of the pages from the first of them on."""
    context = await _context(browser)
    yield context
    await context.close()


@pytest.fixture
async def reading_page(reading: BrowserContext) -> AsyncIterator[Page]:
    """A tab of a browser that others have read in, too."""
    page = await reading.new_page()
    yield page
    await page.close()


@pytest.fixture(scope="session")
async def shared_stack(postgres: TestPostgres) -> AsyncIterator[Stack]:
    """The engines behind the tenant that tests share."""
    async with stack_on(postgres) as stack:
        yield stack


@pytest.fixture(scope="session")
async def world(shared_stack: Stack) -> AsyncIterator[World]:
    """A tenant with something on each page. Who changes something makes a run of their own for it."""
    async with (
        all_services(shared_stack) as gateway,
        Gql(f"http://127.0.0.1:{gateway.port}") as api,
    ):
        world = await furnished(api)
        await add_automation(api)
        # It is read: a count in the navigation would come at any time after the page.
        await shared_stack.admin_pool.execute(
            "INSERT INTO gateway.message (id, tenant_id, type, text, content, read)"
            " SELECT gen_random_uuid(), id, 'CLOUD_HOOK', $1, $2::jsonb, true FROM gateway.tenant WHERE slug = $3",
            f"message {EVIL}", {"event": {"id": world.run, "state": "Failed"}, "message": EVIL}, world.slug,
        )  # fmt: skip
        yield world


@pytest.fixture
async def api(world: World) -> AsyncIterator[Gql]:
    async with Gql(world.url) as found:
        yield found
