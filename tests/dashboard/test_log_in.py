"""A person logs in with an API key, in a real browser, behind a proxy's path."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from services.gateway.app import Gateway
from tests.support.browser import chromium
from tests.support.engines import Stack
from tests.support.gql import Gql
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
        # The page that is open may find out first, and ask by itself.
        await page.goto(url.replace("/flows", "/agents"))
        await expect(page.get_by_label("API key")).to_be_visible()
        await page.get_by_label("API key").fill(FIRST)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()

    assert page.url.endswith("/tools/hw/default/agents")


_HIDDEN = {
    "read_only": {
        "projects": ("Create",),
        "limits": ("Set the limit",),
        "values": ("Set the value", "Set the secret"),
        "team": ("Make a key", "Let in"),
    },
    "user": {"limits": ("Set the limit",), "team": ("Make a key", "Let in")},
}
"""What each role is not offered, by page, since the server would refuse it."""


@pytest.mark.parametrize("role", _HIDDEN)
async def test_a_page_offers_nothing_that_the_server_refuses_its_reader(
    gateway: Gateway, role: str
) -> None:
    at = f"http://127.0.0.1:{gateway.port}"
    async with Gql(at, headers={"authorization": f"Bearer {FIRST}"}) as api:
        made = await api(
            "mutation($n: String!) { create_api_key(input: {name: $n, role: $n}) { key } }", n=role
        )
    async with chromium() as browser:
        page = await (await browser.new_context()).new_page()
        await page.goto(f"{at}/tools/hw/default/flows")
        await page.get_by_label("API key").fill(made["create_api_key"]["key"])
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="Flows", level=1)).to_be_visible()
        for name, buttons in _HIDDEN[role].items():
            await page.goto(f"{at}/tools/hw/default/{name}")
            await expect(page.locator("main h1")).to_be_visible()
            await expect(page.locator("[aria-busy=true]")).to_have_count(0)
            await expect(page.get_by_role("alert")).to_have_count(0)
            for button in buttons:
                await expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)
