"""A person logs in with an API key, in a real browser, behind a proxy's path."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext, Page, expect

from services.gateway.app import Gateway
from tests.support.browser import Watched
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services

FIRST = "hw_first-key-for-tests"

pytestmark = pytest.mark.xdist_group("log in")


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(
        stack,
        auth="required",
        bootstrap_key=FIRST,
        public_url="https://hw.example/tools/hw",
    ) as gateway:
        yield gateway


async def log_in(page: Page, key: str) -> None:
    """Say who one is, when one is asked."""
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Log in").click()


async def test_a_person_logs_in_with_a_key_and_is_asked_again_when_the_session_has_ended(
    context: BrowserContext, page: Page, gateway: Gateway
) -> None:
    url = f"http://127.0.0.1:{gateway.port}/tools/hw/default/flows"
    await page.goto(url)
    await log_in(page, "hw_nobody")
    await expect(page.get_by_text("Nobody has this key.")).to_be_visible()

    await log_in(page, FIRST)
    await expect(page.get_by_role("heading", name="Flows", level=1)).to_be_visible()

    await context.clear_cookies()
    # The page that is open may find out first, and ask by itself.
    await page.goto(url.replace("/flows", "/agents"))
    await log_in(page, FIRST)
    await expect(page.get_by_role("heading", name="Agents", level=1)).to_be_visible()

    assert page.url.endswith("/tools/hw/default/agents")


_OF_THE_ADMINISTRATOR = {
    "projects": ("Create",),
    "limits": ("Set the limit",),
    "values": ("Set the value", "Set the secret"),
    "team": ("Make a key", "Let in"),
}
"""What changes something, by page."""
_HIDDEN: dict[str, dict[str, tuple[str, ...]]] = {
    "read_only": _OF_THE_ADMINISTRATOR,
    "user": {name: _OF_THE_ADMINISTRATOR[name] for name in ("limits", "team")},
    "tenant_admin": {},
}
"""What of it each role is not offered, since the server would refuse it."""


@pytest.mark.parametrize("role", _HIDDEN)
async def test_a_page_offers_nothing_that_the_server_refuses_its_reader_and_all_else(
    page: Page, gateway: Gateway, role: str
) -> None:
    at = f"http://127.0.0.1:{gateway.port}"
    async with Gql(at, headers={"authorization": f"Bearer {FIRST}"}) as api:
        made = await api(
            "mutation($n: String!) { create_api_key(input: {name: $n, role: $n}) { key } }", n=role
        )
    watched = Watched.of(page, at)
    await page.goto(f"{at}/tools/hw/default/flows")
    await log_in(page, made["create_api_key"]["key"])
    await expect(page.get_by_role("heading", name="Flows", level=1)).to_be_visible()
    for name, buttons in _OF_THE_ADMINISTRATOR.items():
        await page.goto(f"{at}/tools/hw/default/{name}")
        await watched.settled()
        await expect(page.get_by_role("alert")).to_have_count(0)
        for button in buttons:
            is_hidden = button in _HIDDEN[role].get(name, ())
            offered = page.get_by_role("button", name=button, exact=True)
            assert (await offered.count() == 0) is is_hidden, f"{role}: {button} on {name}"


async def test_a_role_that_reads_values_alone_opens_the_pages_and_is_led_to_what_it_may_see(
    page: Page, gateway: Gateway
) -> None:
    at = f"http://127.0.0.1:{gateway.port}"
    async with Gql(at, headers={"authorization": f"Bearer {FIRST}"}) as api:
        role = await api(
            'mutation($p: [String!]!) { create_custom_role(input: {name: "looks at values", permissions: $p}) { id } }',
            p=["read:key-value"],
        )
        made = await api(
            'mutation($r: UUID!) { create_api_key(input: {name: "looks", role_id: $r}) { key } }',
            r=role["create_custom_role"]["id"],
        )
    watched = Watched.of(page, at)

    await page.goto(f"{at}/tools/hw/default")
    await log_in(page, made["create_api_key"]["key"])
    await expect(page.get_by_role("heading", name="Not for this role", level=1)).to_be_visible()
    await page.get_by_role("link", name="Go to KV and secrets").click()
    await expect(page.get_by_role("heading", name="KV and secrets", level=1)).to_be_visible()
    await expect(page.get_by_text("The KV store is empty.")).to_be_visible()
    await watched.settled()

    pages = page.get_by_role("navigation", name="Pages").get_by_role("link")
    assert await pages.all_inner_texts() == ["KV and secrets", "Team", "API"]
    await expect(page.get_by_role("button", name="Set the value")).to_have_count(0)
