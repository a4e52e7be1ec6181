"""A person logs in with an API key, in a real browser, behind a proxy's path."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from services.gateway.app import Gateway
from tests.support.browser import chromium
from tests.support.engines import Stack
from tests.support.services import all_services

FIRST = "hw_first-key-for-tests"


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(
        stack,
        auth="required",
        bootstrap_key=FIRST,
        public_url="https://hw.example/tools/hw",
    ) as gateway:
        yield gateway


async def test_a_person_logs_in_with_a_key_and_is_asked_again_when_the_session_has_ended(
    gateway: Gateway,
) -> None:
    url = f"http://127.0.0.1:{gateway.port}/tools/hw/default/flows"
    async with chromium() as browser:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(url)
        await page.get_by_label("API key").fill("hw_nobody")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_text("Nobody has this key.")).to_be_visible()

        await page.get_by_label("API key").fill(FIRST)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="Flows", level=1)).to_be_visible()

        await context.clear_cookies()
        await page.get_by_role("link", name="Agents").first.click()
        await expect(page.get_by_label("API key")).to_be_visible()
        await page.get_by_label("API key").fill(FIRST)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()

    assert page.url.endswith("/tools/hw/default/agents")
