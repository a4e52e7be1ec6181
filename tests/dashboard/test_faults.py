"""What is behind a page fails under it, in a real browser: the page says so, and is whole again without a reload."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.support.browser import PATIENCE
from tests.support.cut import Cut, cut_before
from tests.support.dashboard_world import (
    Reported,
    World,
    a_run,
    furnished,
    is_live,
    live,
    write_line,
)
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.pauses import paused
from tests.support.running import running
from tests.support.service_process import ServiceProcess, gateway_process
from tests.support.services import services_on

# One site for all of them, which one worker has.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

STARTS = 3 * PATIENCE
"""Seconds within which a gateway's process answers, where others start theirs at the same time."""

# Every sentence that a page said of its connection: some stand for a few seconds only.
SAID = """
window.said = [];
new MutationObserver(() => {
    const text = document.querySelector('.banner')?.textContent;
    if (text && text !== window.said.at(-1)) window.said.push(text);
}).observe(document, { childList: true, subtree: true, characterData: true });
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A gateway that can be killed, before a database that can be cut off, and a furnished tenant."""

    stack: Stack
    gateway: ServiceProcess
    reads: Cut
    world: World


@pytest.fixture(scope="module")
async def site(stack: Stack) -> AsyncIterator[Site]:
    async with AsyncExitStack() as exits:
        for service in services_on(stack, lambda _: stack.nats_url)[:-1]:
            await exits.enter_async_context(running(service))
        reads = await exits.enter_async_context(cut_before(stack.postgres_url("reader")))
        gateway, url = await exits.enter_async_context(
            gateway_process(stack, {"HEADWATER_READER_POSTGRES_URL": reads.url})
        )
        async with Gql(url) as api:
            await eventually(lambda: api("{ tenant { id } }"), timeout=STARTS)
            world = await furnished(api)
        yield Site(stack=stack, gateway=gateway, reads=reads, world=world)


@pytest.fixture
async def api(site: Site) -> AsyncIterator[Gql]:
    async with Gql(site.world.url) as found:
        yield found


@dataclass(slots=True)
class Watcher:
    """A page that somebody leaves open on a run, and the run."""

    page: Page
    run: Reported
    opened: float

    @property
    def banner(self) -> Locator:
        """What the page says of its connection."""
        return self.page.locator(".banner")

    async def has_said(self, words: str) -> None:
        """Wait until it has said this, whatever it says now."""

        async def is_said() -> bool:
            return any(words in text for text in await self.page.evaluate("said"))

        await eventually(is_said, timeout=PATIENCE)

    async def look(self) -> None:
        """Come back to the tab: it asks for what it shows."""
        await self.page.evaluate("hide(true); hide(false)")

    async def is_whole_again(self, state: str, message: str) -> None:
        """Nothing is said any more, and what happens now is seen: on the same page, which was not loaded again."""
        await expect(self.banner).to_have_count(0)
        await self.run.set(state, message)
        await expect(self.page.get_by_text(message).first).to_be_visible()
        assert await self.page.evaluate("performance.timeOrigin") == self.opened


async def watching(context: BrowserContext, world: World, api: Gql, name: str) -> Watcher:
    """A page on a run that has been submitted and hears what changes."""
    run = await a_run(api, world, name)
    await run.set("Submitted", "It was submitted.")
    page = await context.new_page()
    await page.add_init_script(SAID)
    await live(page, f"{world.url}/{world.slug}/flow-run/{run.id}")
    await expect(page.get_by_text("It was submitted.").first).to_be_visible()
    return Watcher(page, run, await page.evaluate("performance.timeOrigin"))


async def answers(site: Site) -> bool:
    """Whether the gateway does, to a caller of its own."""
    async with Gql(site.world.url) as api:
        return bool((await api("{ tenant { id } }"))["tenant"])


async def test_a_gateway_that_was_killed_is_missed_within_seconds_and_found_again(
    context: BrowserContext, site: Site, api: Gql
) -> None:
    watched = await watching(context, site.world, api, "killed under it")

    await site.gateway.kill()
    try:
        await expect(watched.banner).to_contain_text("Headwater cannot be reached.")
        await expect(watched.page.get_by_text("It was submitted.").first).to_be_visible()
        await expect(watched.page.get_by_role("heading", name="killed under it")).to_be_visible()
    finally:
        await site.gateway.start()
    await eventually(lambda: answers(site), timeout=STARTS)

    await watched.is_whole_again("Running", "The gateway is another one.")
    await is_live(watched.page)


async def test_a_log_that_is_followed_goes_on_after_the_gateway_was_killed(
    context: BrowserContext, site: Site, api: Gql
) -> None:
    watched = await watching(context, site.world, api, "followed")
    await watched.run.set("Running")
    await watched.page.get_by_role("tab", name="Logs").click()
    lines = watched.page.get_by_role("main")
    await write_line(api, watched.run.id, "a line before")
    await expect(lines.get_by_text("a line before")).to_be_visible()

    await site.gateway.kill()
    try:
        await expect(watched.banner).to_contain_text("Headwater cannot be reached.")
    finally:
        await site.gateway.start()
    await eventually(lambda: answers(site), timeout=STARTS)
    await write_line(api, watched.run.id, "a line after")

    await expect(lines.get_by_text("a line after")).to_be_visible()
    await expect(lines.get_by_text("a line before")).to_be_visible()
    await watched.is_whole_again("Success", "All of it was seen.")


async def test_a_bus_that_hangs_is_said_reads_go_on_and_what_is_refused_says_why(
    context: BrowserContext, site: Site, api: Gql
) -> None:
    if site.stack.nats is None or site.stack.nats.pid is None:
        pytest.skip("the broker is not ours to pause")
    watched = await watching(context, site.world, api, "without a bus")
    page = watched.page

    with paused(site.stack.nats.pid):
        await expect(watched.banner).to_contain_text("message bus does not answer")
        await page.get_by_role("button", name="Cancel run").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Cancel run").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("again")
        await dialog.get_by_role("button", name="Back").click()
        # Reads need no bus.
        await page.get_by_role("link", name="Agents").first.click()
        await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()
        await page.go_back()
        await expect(page.get_by_text("It was submitted.").first).to_be_visible()

    # A cancellation that was refused may still be done, since nobody knows whether the bus has taken it.
    await expect(watched.banner).to_have_count(0)
    await is_live(page)
    # The ledger finds its bus again by itself, at its own time.
    other = await eventually(lambda: a_run(api, site.world, "heard again"), timeout=PATIENCE)
    await page.goto(f"{site.world.url}/{site.world.slug}/flow-run/{other.id}")
    watched.run, watched.opened = other, await page.evaluate("performance.timeOrigin")
    await watched.is_whole_again("Submitted", "The bus carries it.")


@asynccontextmanager
async def locked(stack: Stack) -> AsyncIterator[None]:
    """Nobody reads a flow run meanwhile, as while a table is rewritten."""
    owner = await asyncpg.connect(stack.postgres_url("owner"))
    try:
        async with owner.transaction():
            await owner.execute("LOCK TABLE runs.flow_run IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await owner.close()


async def test_a_database_that_answers_slowly_is_said_and_what_was_seen_stays(
    context: BrowserContext, site: Site, api: Gql
) -> None:
    watched = await watching(context, site.world, api, "slow")

    async with locked(site.stack):
        await watched.look()
        await watched.has_said("answers slowly")
        # The gateway gives such a question up after ten seconds.
        await expect(watched.banner).to_contain_text("takes too long to answer")
        await expect(watched.banner).to_contain_text("ago; the page goes on by itself")
        await expect(watched.page.get_by_text("It was submitted.").first).to_be_visible()

    await watched.is_whole_again("Running", "The lock is gone.")


async def test_a_database_that_is_away_is_said_by_a_page_that_is_open_and_by_one_that_opens(
    context: BrowserContext, site: Site, api: Gql
) -> None:
    watched = await watching(context, site.world, api, "away")
    other = await context.new_page()
    await live(other, f"{site.world.url}/{site.world.slug}")

    site.reads.cut()
    try:
        await watched.look()
        await expect(watched.banner).to_contain_text("database does not answer")
        await expect(watched.page.get_by_text("It was submitted.").first).to_be_visible()
        await other.get_by_role("link", name="Runs").first.click()
        await expect(other.get_by_role("alert").first).to_contain_text("postgres")
    finally:
        site.reads.mend()

    await watched.is_whole_again("Running", "The database is back.")
    await expect(other.get_by_role("alert")).to_have_count(0)
    await expect(other.get_by_role("link", name="away", exact=True).first).to_be_visible()
