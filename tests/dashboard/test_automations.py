"""An automation from the form to the API and back, in a real browser on real services."""

from playwright.async_api import Page, expect

from tests.support.dashboard_world import World, opened
from tests.support.gql import Gql


async def test_an_automation_that_is_made_in_the_browser_is_stored_switched_off_and_deleted(
    page: Page, world: World, api: Gql
) -> None:
    watched = await opened(page, world, "automations")

    await page.get_by_role("button", name="New automation", exact=True).first.click()
    dialog = page.get_by_role("dialog", name="New automation")
    await dialog.get_by_label("Name").fill("night alarm")
    await dialog.get_by_label("Do", exact=True).first.click()
    await page.get_by_role("option", name="Webhook", exact=True).click()
    await dialog.get_by_label("Address").fill("https://hooks.example.com/night")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="night alarm")
    await expect(row).to_contain_text("A run of any flow is Failed, TimedOut or TriggerFailed")
    await expect(row).to_contain_text("calls a webhook")
    made = await _hooks(api)

    switch = row.get_by_role("switch")
    # Its input lies below the drawn switch, which is a label of it.
    await switch.focus()
    await page.keyboard.press("Space")
    await expect(switch).not_to_be_checked()
    off = await _hooks(api)
    await row.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(row).to_have_count(0)
    await watched.settled()

    assert made == [
        {
            "is_active": True,
            "event_tags": {"state": ["Failed", "TimedOut", "TriggerFailed"]},
            "action": {
                "action_type": "WebhookAction",
                "action_config": {"url": "https://hooks.example.com/night"},
            },
        }
    ]
    assert [each["is_active"] for each in off] == [False]
    assert await _hooks(api) == []
    assert watched.faults == []


async def _hooks(api: Gql) -> list[dict[str, object]]:
    found = await api(
        '{ hook(where: {name: {_eq: "night alarm"}})'
        " { is_active event_tags action { action_type action_config } } }"
    )
    hooks: list[dict[str, object]] = found["hook"]
    return hooks
