"""Every dialog of the dashboard, opened in a real browser: it can be read and used in both themes, and be left."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from tests.support.axe import serious_faults
from tests.support.browser import Watched
from tests.support.dashboard_world import Reported, World, a_run, opened
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.serialized_flows import a_flow
from tests.support.themes import turn

# They share a tenant with a key, a secret and dead agents, which one worker has.
pytestmark = pytest.mark.xdist_group("dialogs")

DIALOGS: dict[str, list[tuple[str, ...]]] = {
    "run": [
        ("Restart from failed",),
        ("Delete run",),
        ("More", "Rename"),
        ("More", "Change labels"),
        ("More", "Set state"),
    ],
    "waiting run": [("Run now",), ("Cancel run",)],
    "runs": [
        ("Choose all that match", "Cancel"),
        ("Restart from failed",),
        ("Run now",),
        ("Delete",),
        ("All runs ▾", "Save these filters…"),
    ],
    "flow": [("Archive",)],
    "flow settings": [("Delete this flow",), ("Heartbeats and the Zombie Killer",), ("Lazarus",)],
    "edited schedule": [("Edit", "Remove")],
    "archived flow": [("Unarchive",)],
    "task run": [("Set state",)],
    "paused task run": [("Approve",)],
    "agents": [("Forget them all",), ("Pause the work queue",)],
    "limits": [("Delete",)],
    "automations": [("New automation",), ("Edit",), ("Delete",)],
    "inbox": [("Delete",)],
    "projects": [("Delete",)],
    "values": [("Delete",)],
    "team": [
        ("Revoke",),
        ("Remove",),
        ("New service account",),
        ("Invite",),
        ("New role",),
    ],
}
"""What opens each dialog of a page, one button or item after the other."""


@pytest.fixture(scope="module")
async def filled(world: World, shared_stack: Stack) -> AsyncIterator[dict[str, str]]:
    """What the pages need beside the tenant of all tests; more addresses."""
    async with Gql(world.url) as api:
        await api(
            'mutation { create_api_key(input: {name: "for a dialog", role: "user"}) { key } }'
        )
        await api('mutation { set_secret(input: {name: "FOR_A_DIALOG", value: "1"}) { success } }')
        run = await a_run(api, world, "for a dialog")
        edited, archived = (
            await a_flow_with_a_schedule(api, world),
            await an_archived_flow(api, world),
        )
        paused = await a_paused_task_run(api, world)
        tenant = (await api("{ tenant { id } }"))["tenant"][0]["id"]
    await shared_stack.admin_pool.execute(
        "INSERT INTO runs.agent (id, tenant_id, name, type, labels, last_queried)"
        " VALUES (gen_random_uuid(), $1::uuid, 'dead', 'LocalAgent', '[]', now() - interval '9 days')",
        tenant,
    )
    await shared_stack.admin_pool.execute(
        "INSERT INTO gateway.membership (id, user_id, home_tenant_id, tenant_id, role)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), $1::uuid, $1::uuid, 'user')",
        tenant,
    )
    yield {
        "waiting run": f"/{world.slug}/flow-run/{run.id}",
        "edited schedule": f"/{world.slug}/flow/{edited}?tab=schedule",
        "archived flow": f"/{world.slug}/flow/{archived}",
        "paused task run": f"/{world.slug}/task-run/{paused}",
    }
    await shared_stack.admin_pool.execute("DELETE FROM runs.agent WHERE name = 'dead'")
    await shared_stack.admin_pool.execute("DELETE FROM gateway.membership")


async def another_flow(api: Gql, world: World, name: str) -> tuple[str, str]:
    """Its id and its group's."""
    made = await api(
        "mutation($p: UUID!, $f: JSON!) { create_flow(input: {project_id: $p, serialized_flow: $f}) { id } }",
        p=world.project,
        f=a_flow(name),
    )
    flow = made["create_flow"]["id"]
    found = await api("query($i: uuid!) { flow_by_pk(id: $i) { flow_group_id } }", i=flow)
    return flow, found["flow_by_pk"]["flow_group_id"]


async def a_flow_with_a_schedule(api: Gql, world: World) -> str:
    _, group = await another_flow(api, world, "edited")
    await api(
        "mutation($g: UUID!) { set_flow_group_schedule(input: {flow_group_id: $g,"
        ' cron_clocks: [{cron: "0 3 * * *"}]}) { success } }',
        g=group,
    )
    return group


async def an_archived_flow(api: Gql, world: World) -> str:
    flow, group = await another_flow(api, world, "archived")
    await api("mutation($f: UUID!) { archive_flow(input: {flow_id: $f}) { success } }", f=flow)
    return group


async def a_paused_task_run(api: Gql, world: World) -> str:
    run = await a_run(api, world, "pauses for a dialog")
    await run.set("Submitted")
    await run.set("Running")
    [task, *_] = (
        await api(
            "query($r: uuid!) { task_run(where: {flow_run_id: {_eq: $r}}) { id version } }",
            r=run.id,
        )
    )["task_run"]
    await Reported(api, "task_run", task["id"], task["version"]).set("Paused")
    found: str = task["id"]
    return found


async def is_sound(watched: Watched) -> None:
    """The dialog that is open has no serious fault in either theme, and Escape closes it."""
    dialog = watched.page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await watched.settled()
    await turn(watched, "dark")
    in_dark = await serious_faults(watched.page, within="[role=dialog]")
    await turn(watched, "light")
    in_light = await serious_faults(watched.page, within="[role=dialog]", only_colours=True)
    await watched.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)

    assert in_dark == []
    assert in_light == []


@pytest.mark.parametrize("name", DIALOGS)
async def test_every_dialog_of_a_page_is_accessible_in_both_themes_and_is_left_by_escape(
    page: Page, world: World, filled: dict[str, str], name: str
) -> None:
    if name in filled:
        watched = Watched.of(page, world.url)
        await page.goto(world.url + filled[name])
        await watched.settled()
    else:
        watched = await opened(page, world, name)

    for way in DIALOGS[name]:
        for step in way:
            found = page.get_by_role("button", name=step, exact=True)
            item = page.get_by_role("menuitem", name=step, exact=True)
            switch = page.get_by_role("switch", name=step)
            await found.or_(item).or_(switch).first.click()
        await is_sound(watched)

    assert watched.faults == []


@pytest.mark.parametrize(("key", "title"), [("?", "Keys"), ("Control+k", "Search")])
async def test_what_a_key_opens_is_accessible_in_both_themes_and_is_left_by_escape(
    page: Page, world: World, key: str, title: str
) -> None:
    watched = await opened(page, world, "overview")

    await page.keyboard.press(key)
    await expect(page.get_by_role("dialog", name=re.compile(title))).to_be_visible()
    await is_sound(watched)

    assert watched.faults == []
