"""The query editor answers subscriptions: typed in a real browser, under the page's own policy."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from services.gateway.app import Gateway
from tests.support.browser import PATIENCE, Watched
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.services import all_services
from tests.support.streaming import FIRST, a_run, set_state

pytestmark = pytest.mark.xdist_group("editor")

EVENTS = "subscription { flow_run_events { status events { id state version } } }"


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(
        stack, auth="required", bootstrap_key=FIRST, public_url="https://hw.example/tools/hw"
    ) as gateway:
        yield gateway


async def run(page: Page, document: str, *, until: str) -> None:
    """Type a document into the editor in place of what is there, and run it until its answer has a text.

    GraphiQL looks a moment later at what was typed; run before that, it asks for the operation that stood there.
    """
    editor = page.get_by_role("region", name="Query Editor").locator(".CodeMirror").first
    await editor.click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(document)
    answer = page.get_by_role("region", name="Result Window")

    async def answered() -> bool:
        await page.keyboard.press("Control+Enter")
        try:
            await expect(answer).to_contain_text(until, timeout=10_000)
        except AssertionError:
            return False
        return True

    await eventually(answered, timeout=2 * PATIENCE)


@pytest.mark.parametrize("below", ["", "/tools/hw"])
async def test_a_subscription_typed_in_the_editor_shows_an_event_to_a_page_with_a_session(
    gateway: Gateway, page: Page, below: str
) -> None:
    url = f"http://127.0.0.1:{gateway.port}"
    entered = await page.request.post(
        f"{url}/session", data={"key": FIRST}, headers={"origin": url, "x-headwater": "1"}
    )
    assert entered.ok
    watched = Watched.of(page, url)
    await page.goto(f"{url}{below}/graphql")
    answer = page.get_by_role("region", name="Result Window")

    await run(page, EVENTS, until='"status": "open"')
    async with Gql(url, headers={"authorization": f"Bearer {FIRST}"}) as admin:
        _, run_id = await a_run(admin)
        await set_state(admin, run_id, "Running", 1)

    await expect(answer).to_contain_text('"status": "hints"')
    await expect(answer).to_contain_text(run_id)
    # A run that came before GraphiQL had looked is answered 400.
    assert [fault for fault in watched.faults if "400" not in fault] == []
