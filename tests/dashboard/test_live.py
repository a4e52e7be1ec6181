"""What changes is seen at once, by one stream for all tabs of a browser; a page that lost its way finds it again."""

from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, Route, expect

from services.gateway.events import endpoint
from tests.dashboard.test_pages import Reported, World, furnished, opened, version_of
from tests.support.browser import Watched, chromium
from tests.support.cut import Cut, cut_before
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.services import all_services

expect.set_options(timeout=20_000)

# A tab is hidden when its window says so; a browser without a screen shows all of them.
HIDEABLE = """
window.hide = (is) => {
  for (const [name, value] of [["hidden", is], ["visibilityState", is ? "hidden" : "visible"]])
    Object.defineProperty(document, name, { configurable: true, get: () => value });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


@pytest.fixture(scope="module")
async def way(stack: Stack) -> AsyncIterator[Cut]:
    """The way to the gateway, which can be cut."""
    with pytest.MonkeyPatch.context() as patch:
        # The page's clock runs ahead in some tests; the gateway is heard as often as it would be then.
        patch.setattr(endpoint, "HEARTBEAT", 0.2)
        async with (
            all_services(stack) as gateway,
            cut_before(f"http://127.0.0.1:{gateway.port}") as way,
        ):
            yield way


@pytest.fixture(scope="module")
async def world(way: Cut) -> AsyncIterator[World]:
    async with Gql(way.url) as api:
        yield await furnished(api)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context()
    await context.add_init_script(HIDEABLE)
    yield context
    await context.close()


@pytest.fixture
async def api(world: World) -> AsyncIterator[Gql]:
    async with Gql(world.url) as found:
        yield found


async def a_run(api: Gql, world: World, name: str) -> Reported:
    """A run that waits."""
    made = await api(
        "mutation($i: create_flow_run_input!) { create_flow_run(input: $i) { id } }",
        i={"flow_id": world.flow, "flow_run_name": name},
    )
    run = made["create_flow_run"]["id"]
    return Reported(api, "flow_run", run, await version_of(api, run))


class Asked:
    """What a page asks for, from now on, and its clock."""

    def __init__(self, page: Page) -> None:
        self.counted: Counter[str] = Counter()
        self._page = page
        self._open = 0
        page.on("request", self._began)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def _began(self, request: Request) -> None:
        path = urlsplit(request.url).path
        self.counted[path] += 1
        self._open += path == "/graphql"

    def _ended(self, request: Request) -> None:
        self._open -= urlsplit(request.url).path == "/graphql"

    async def minutes(self, count: float) -> None:
        """Let the page's clock go on; what it asks for is answered before it goes further."""
        for _ in range(round(20 * count)):
            await self._page.clock.run_for(3_000)
            await eventually(lambda: self._open <= 0)


async def live(page: Page, address: str) -> None:
    """Open a page and wait until it hears what changes."""
    await page.goto(address)
    await expect(page.get_by_text("Live", exact=False).first).to_be_visible()


async def test_a_state_that_changes_is_shown_within_two_seconds_without_a_look_between(
    context: BrowserContext, world: World, api: Gql
) -> None:
    run = await a_run(api, world, "watched")
    page = await context.new_page()
    await live(page, f"{world.url}/{world.slug}/flow-run/{run.id}")
    await expect(page.get_by_role("status").get_by_text("Scheduled").first).to_be_visible()

    await run.set("Submitted")
    await run.set("Running", "It begins.")

    await expect(page.get_by_text("It begins.").first).to_be_visible(timeout=5_000)


async def test_tabs_of_a_browser_share_one_stream_and_another_tab_takes_it_over(
    context: BrowserContext, world: World, api: Gql
) -> None:
    run = await a_run(api, world, "shared")
    address = f"{world.url}/{world.slug}/flow-run/{run.id}"
    first, second = await context.new_page(), await context.new_page()
    streams: Counter[str] = Counter()
    context.on("request", lambda request: streams.update([urlsplit(request.url).path]))
    await live(first, address)
    await live(second, address)
    assert streams["/events"] == 1

    await run.set("Submitted")
    await run.set("Running", "Both hear it.")
    for page in (first, second):
        await expect(page.get_by_text("Both hear it.").first).to_be_visible(timeout=5_000)

    await first.close()
    await eventually(lambda: streams["/events"] == 2)
    await run.set("Success", "The other one hears it, too.")
    await expect(second.get_by_text("The other one hears it, too.").first).to_be_visible(
        timeout=5_000
    )


@pytest.mark.parametrize("name", ["overview", "flows", "flow", "runs", "run", "agents", "limits"])
async def test_an_idle_tab_asks_six_times_a_minute_at_most_and_a_hidden_one_never(
    context: BrowserContext, world: World, name: str
) -> None:
    page = await context.new_page()
    await page.clock.install()
    await live(page, world.url + world.pages[name])
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    asked = Asked(page)
    await asked.minutes(0.2)

    asked.counted.clear()
    await asked.minutes(1)
    seen = asked.counted.copy()
    await page.evaluate("hide(true)")
    await asked.minutes(0.2)
    asked.counted.clear()
    await asked.minutes(1)

    assert seen.total() <= 6, f"asked while it was seen: {seen}"
    assert asked.counted.total() == 0, f"asked while it was hidden: {asked.counted}"


async def test_a_tab_that_is_seen_again_shows_what_happened_while_it_was_hidden(
    context: BrowserContext, world: World, api: Gql
) -> None:
    run = await a_run(api, world, "hidden")
    page = await context.new_page()
    await live(page, f"{world.url}/{world.slug}/flow-run/{run.id}")
    await page.evaluate("hide(true)")
    await run.set("Submitted", "While nobody looked.")
    await page.evaluate("hide(false)")

    await expect(page.get_by_text("While nobody looked.").first).to_be_visible(timeout=5_000)


@pytest.mark.parametrize("status", [404, 429])
async def test_a_gateway_that_refuses_the_stream_is_asked_now_and_then_instead(
    context: BrowserContext, world: World, api: Gql, status: int
) -> None:
    run = await a_run(api, world, "polled")
    page = await context.new_page()

    async def refused(route: Route) -> None:
        await route.fulfill(status=status, json={"errors": [{"message": "No."}]})

    await page.route("**/events", refused)
    await page.goto(f"{world.url}/{world.slug}/flow-run/{run.id}")
    await expect(page.get_by_text("Polling")).to_be_visible()

    await run.set("Submitted", "Seen by looking.")

    await expect(page.get_by_text("Seen by looking.").first).to_be_visible(timeout=15_000)


async def test_a_gateway_that_is_gone_is_said_within_five_seconds_and_the_page_is_whole_again(
    context: BrowserContext, world: World, way: Cut, api: Gql
) -> None:
    run = await a_run(api, world, "cut off")
    page = await context.new_page()
    await live(page, f"{world.url}/{world.slug}/flow-run/{run.id}")
    opened_once = await page.evaluate("performance.timeOrigin")

    way.cut()
    try:
        await expect(page.get_by_text("Headwater cannot be reached.")).to_be_visible(timeout=5_000)
        await expect(page.get_by_role("heading", name="cut off")).to_be_visible()
    finally:
        way.mend()
    await run.set("Submitted", "It is back.")

    await expect(page.get_by_text("It is back.").first).to_be_visible()
    await expect(page.get_by_text("Headwater cannot be reached.")).to_have_count(0)
    assert await page.evaluate("performance.timeOrigin") == opened_once, "it was not loaded again"


async def test_a_page_that_is_opened_while_the_gateway_starts_opens_by_itself(
    context: BrowserContext, world: World
) -> None:
    page = await context.new_page()
    away = True

    async def answer(route: Route) -> None:
        await (route.abort() if away else route.continue_())

    await page.route("**/graphql", answer)
    await page.goto(f"{world.url}/{world.slug}")
    await expect(page.get_by_text("Headwater cannot be reached.")).to_be_visible()
    away = False

    await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


async def upgraded(page: Page) -> None:
    """From now on the gateway serves another build."""

    async def other(route: Route) -> None:
        answer = await route.fetch()
        text = (await answer.text()).replace("assets/index-", "assets/index-another-")
        await route.fulfill(response=answer, body=text)

    # Only what the page asks by itself: who loads the page anew gets the build that is there.
    await page.route(
        lambda url: urlsplit(url).path == "/",
        lambda route: other(route) if route.request.resource_type == "fetch" else route.continue_(),
    )


async def test_an_upgrade_under_an_open_tab_loads_it_once_more(
    context: BrowserContext, world: World, way: Cut
) -> None:
    page = await context.new_page()
    await live(page, world.url + world.pages["overview"])
    before = await page.evaluate("performance.timeOrigin")
    loads: Counter[str] = Counter()
    page.on("load", lambda _: loads.update(["load"]))
    await upgraded(page)

    way.cut()
    way.mend()

    await eventually(lambda: loads["load"] == 1)
    await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    assert await page.evaluate("performance.timeOrigin") != before
    # It still is another build, which a page that was just loaded does not mind.
    way.cut()
    way.mend()
    await expect(page.get_by_text("Live", exact=False).first).to_be_visible()
    assert loads["load"] == 1


async def test_an_upgrade_loses_no_form_that_somebody_is_filling_in(
    context: BrowserContext, world: World, way: Cut
) -> None:
    page = await context.new_page()
    await live(page, world.url + world.pages["new run"])
    await page.get_by_label("text", exact=True).fill("half a thought")
    await upgraded(page)

    way.cut()
    way.mend()

    await expect(page.get_by_text("Headwater was upgraded.")).to_be_visible()
    await expect(page.get_by_label("text", exact=True)).to_have_value("half a thought")
    before = await page.evaluate("performance.timeOrigin")
    await page.get_by_role("link", name="Agents").first.click()
    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()
    assert await page.evaluate("performance.timeOrigin") != before, "the step loads the new build"


async def test_a_page_whose_first_script_breaks_off_loads_itself_again_once(
    context: BrowserContext, world: World
) -> None:
    page = await context.new_page()
    broken: list[str] = []

    async def break_off_once(route: Route) -> None:
        broken.append(route.request.url)
        await (route.abort("connectionfailed") if len(broken) == 1 else route.continue_())

    await page.route("**/assets/index-*.js", break_off_once)
    await page.goto(f"{world.url}/{world.slug}/agents")

    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()
    assert len(broken) == 2


@pytest.mark.parametrize("part", ["**/assets/index-*.js", "**/assets/jsx-runtime-*.js"])
async def test_a_page_whose_scripts_never_come_says_so_and_offers_to_load_again(
    context: BrowserContext, world: World, part: str
) -> None:
    page = await context.new_page()
    await page.route(part, lambda route: route.abort("connectionfailed"))
    await page.goto(f"{world.url}/{world.slug}/agents")
    again = page.get_by_role("link", name="Load it again")
    await expect(page.get_by_text("could not be loaded whole")).to_be_visible()
    await expect(again).to_be_visible()

    await page.unroute(part)
    await again.click()

    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()


async def test_the_stream_is_no_fault_on_any_page(browser: Browser, world: World) -> None:
    watched: Watched = await opened(browser, world, "overview")
    await expect(watched.page.get_by_text("Live", exact=False).first).to_be_visible()
    await watched.page.context.close()

    assert watched.faults == []
