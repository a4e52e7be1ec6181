"""What changes is seen at once, by one stream for all tabs of a browser; a page that lost its way finds it again."""

from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, Request, Route, expect

from services.gateway.events import endpoint
from tests.support.browser import PATIENCE, Watched
from tests.support.cut import Cut, cut_before
from tests.support.dashboard_world import World, a_run, furnished, is_live, live, opened
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.services import all_services

# Its fixtures change the gateway for the tests of this file alone.
pytestmark = pytest.mark.xdist_group("live")

# Nothing is looked for by itself on such a page: what it shows anew it was told of.
NEVER_LOOKS = "window.setInterval = () => 0;"
# How often a page has read something of the stream.
LISTENED = """
window.listened = 0;
const decode = TextDecoder.prototype.decode;
TextDecoder.prototype.decode = function (...given) { window.listened += 1; return decode.apply(this, given); };
"""

# When a page loaded itself anew; it notes that before it does, and after the two frames it would have begun.
RELOADED = """async () => {
    for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
    return sessionStorage.getItem("headwater-reloaded");
}"""


@pytest.fixture(scope="module")
async def way(stack: Stack) -> AsyncIterator[Cut]:
    """The way to the gateway, which can be cut."""
    with pytest.MonkeyPatch.context() as patch:
        # The page's clock runs ahead in some tests; the gateway is heard as often as it would be then.
        patch.setattr(endpoint, "HEARTBEAT", 0.05)
        async with (
            all_services(stack) as gateway,
            cut_before(f"http://127.0.0.1:{gateway.port}") as way,
        ):
            yield way


@pytest.fixture(scope="module")
async def world(way: Cut) -> AsyncIterator[World]:
    async with Gql(way.url) as api:
        # What is idle here has nothing to tell: no schedule makes runs.
        yield await furnished(api, is_scheduled=False)


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

    async def minutes(self, count: float, *, listens: bool) -> None:
        """Let the page's clock, which stands still, go on; what it asks for is answered before it goes further.

        A page that `listens` hears its gateway in each step, as it would in a minute of the world.
        """
        for _ in range(round(20 * count)):
            before = await self._heard()
            await self._page.clock.run_for(3_000)
            await eventually(lambda: self._open <= 0, timeout=PATIENCE)
            if listens:
                await eventually(partial(self._has_heard_since, before), timeout=PATIENCE)

    async def _heard(self) -> int:
        heard: int = await self._page.evaluate("listened")
        return heard

    async def _has_heard_since(self, before: int) -> bool:
        return await self._heard() > before


async def test_a_state_that_changes_is_told_and_shown_without_a_look_between(
    page: Page, world: World, api: Gql
) -> None:
    run = await a_run(api, world, "watched")
    await page.add_init_script(NEVER_LOOKS)
    await live(page, f"{world.url}/{world.slug}/flow-run/{run.id}")
    await expect(page.get_by_role("status").get_by_text("Scheduled").first).to_be_visible()

    await run.set("Submitted")
    await run.set("Running", "It begins.")

    await expect(page.get_by_text("It begins.").first).to_be_visible()


async def test_tabs_of_a_browser_share_one_stream_and_another_tab_takes_it_over(
    context: BrowserContext, world: World, api: Gql
) -> None:
    run = await a_run(api, world, "shared")
    address = f"{world.url}/{world.slug}/flow-run/{run.id}"
    await context.add_init_script(NEVER_LOOKS)
    first, second = await context.new_page(), await context.new_page()
    streams: Counter[str] = Counter()
    context.on("request", lambda request: streams.update([urlsplit(request.url).path]))
    await live(first, address)
    await live(second, address)
    assert streams["/events"] == 1

    await run.set("Submitted")
    await run.set("Running", "Both hear it.")
    for page in (first, second):
        await expect(page.get_by_text("Both hear it.").first).to_be_visible()
    assert streams["/events"] == 1

    await first.close()
    await eventually(lambda: streams["/events"] == 2, timeout=PATIENCE)
    await run.set("Success", "The other one hears it, too.")
    await expect(second.get_by_text("The other one hears it, too.").first).to_be_visible()


@pytest.mark.parametrize("name", ["overview", "flows", "flow", "runs", "run", "agents", "limits"])
async def test_an_idle_tab_asks_six_times_a_minute_at_most_and_a_hidden_one_never(
    page: Page, world: World, name: str
) -> None:
    await page.add_init_script(LISTENED)
    await page.clock.install()
    watched = await opened(page, world, name)
    await is_live(page)
    # From here on only the test moves the clock: a slow machine makes no minute longer.
    await page.clock.pause_at(await page.evaluate("Date.now()") / 1000 + 1)
    asked = Asked(page)
    await asked.minutes(0.2, listens=True)

    asked.counted.clear()
    await asked.minutes(1, listens=True)
    seen = asked.counted.copy()
    await page.evaluate("hide(true)")
    await asked.minutes(0.2, listens=False)
    asked.counted.clear()
    await asked.minutes(1, listens=False)

    assert 1 <= seen.total() <= 6, f"asked while it was seen: {seen}"
    assert asked.counted.total() == 0, f"asked while it was hidden: {asked.counted}"
    assert watched.faults == []


async def test_a_tab_that_is_seen_again_shows_what_happened_while_it_was_hidden(
    page: Page, world: World, api: Gql
) -> None:
    run = await a_run(api, world, "hidden")
    await page.add_init_script(NEVER_LOOKS)
    await live(page, f"{world.url}/{world.slug}/flow-run/{run.id}")
    await page.evaluate("hide(true)")
    await run.set("Submitted", "While nobody looked.")
    await page.evaluate("hide(false)")

    await expect(page.get_by_text("While nobody looked.").first).to_be_visible()


@pytest.mark.parametrize("status", [404, 429])
async def test_a_gateway_that_refuses_the_stream_is_asked_now_and_then_instead(
    page: Page, world: World, api: Gql, status: int
) -> None:
    run = await a_run(api, world, "polled")

    async def refused(route: Route) -> None:
        await route.fulfill(status=status, json={"errors": [{"message": "No."}]})

    await page.route("**/events", refused)
    await page.goto(f"{world.url}/{world.slug}/flow-run/{run.id}")
    await expect(page.get_by_text("Polling")).to_be_visible()

    await run.set("Submitted", "Seen by looking.")

    await expect(page.get_by_text("Seen by looking.").first).to_be_visible()


async def test_a_gateway_that_is_gone_is_said_and_the_page_is_whole_again_without_a_reload(
    page: Page, world: World, way: Cut, api: Gql
) -> None:
    run = await a_run(api, world, "cut off")
    await live(page, f"{world.url}/{world.slug}/flow-run/{run.id}")
    opened_once = await page.evaluate("performance.timeOrigin")

    way.cut()
    try:
        await expect(page.get_by_text("Headwater cannot be reached.")).to_be_visible()
        await expect(page.get_by_role("heading", name="cut off")).to_be_visible()
    finally:
        way.mend()
    await run.set("Submitted", "It is back.")

    await expect(page.get_by_text("It is back.").first).to_be_visible()
    await expect(page.get_by_text("Headwater cannot be reached.")).to_have_count(0)
    assert await page.evaluate("performance.timeOrigin") == opened_once, "it was not loaded again"


async def test_a_page_that_is_opened_while_the_gateway_starts_opens_by_itself(
    page: Page, world: World
) -> None:
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
    page: Page, world: World, way: Cut
) -> None:
    await live(page, world.url + world.pages["overview"])
    before = await page.evaluate("performance.timeOrigin")
    happened: Counter[str] = Counter()
    page.on("load", lambda _: happened.update(["load"]))
    page.on("requestfinished", lambda request: happened.update(["look"] if looks(request) else []))
    await upgraded(page)

    way.cut()
    way.mend()

    await eventually(lambda: happened["load"] == 1, timeout=PATIENCE)
    await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    assert await page.evaluate("performance.timeOrigin") != before
    # It still is another build, which a page that was just loaded does not mind.
    await is_live(page)
    looked, reloaded = happened["look"], await page.evaluate(RELOADED)
    way.cut()
    way.mend()
    await eventually(lambda: happened["look"] > looked, timeout=PATIENCE)
    await is_live(page)
    assert await page.evaluate(RELOADED) == reloaded
    assert happened["load"] == 1


def looks(request: Request) -> bool:
    """Whether a page asks by itself which build the gateway serves."""
    return request.resource_type == "fetch" and urlsplit(request.url).path == "/"


async def test_an_upgrade_loses_no_form_that_somebody_is_filling_in(
    page: Page, world: World, way: Cut
) -> None:
    await live(page, world.url + world.pages["new run"])
    await page.get_by_label("text", exact=True).fill("half a thought")
    await upgraded(page)

    way.cut()
    way.mend()

    await expect(page.get_by_text("Headwater was upgraded.")).to_be_visible()
    await expect(page.get_by_label("text", exact=True)).to_have_value("half a thought")
    before = await page.evaluate("performance.timeOrigin")
    await page.get_by_role("link", name="Agents").first.click()

    async def is_another() -> bool:
        # The step shows its page at once, and is loaded a moment later.
        return bool(await page.evaluate("performance.timeOrigin") != before)

    await eventually(is_another, timeout=PATIENCE)
    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()


async def test_a_page_whose_first_script_breaks_off_loads_itself_again_once(
    page: Page, world: World
) -> None:
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
    page: Page, world: World, part: str
) -> None:
    await page.route(part, lambda route: route.abort("connectionfailed"))
    await page.goto(f"{world.url}/{world.slug}/agents")
    again = page.get_by_role("link", name="Load it again")
    await expect(page.get_by_text("could not be loaded whole")).to_be_visible()
    await expect(again).to_be_visible()

    await page.unroute(part)
    await again.click()

    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()


async def test_the_stream_is_no_fault_on_any_page(page: Page, world: World) -> None:
    watched: Watched = await opened(page, world, "overview")
    await is_live(page)

    assert watched.faults == []
