"""`make demo` with the real client, and the page that its last line names, in a real browser and two time zones."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from services.gateway.app import Gateway
from tests.support.browser import Watched
from tests.support.engines import Stack
from tests.support.services import all_services

pytestmark = [pytest.mark.client, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack) as gateway:
        yield gateway


async def demo(folder: Path, port: int) -> str:
    """What the demo printed; it uses the Headwater that runs at this port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "deploy.demo"),
        cwd=folder,
        env=os.environ
        | {
            "DEMO_EXIT": "1",
            "HEADWATER_PORT": str(port),
            "HEADWATER_DATA": str(folder / "data"),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "160",
        },
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 600)
    assert process.returncode == 0, said.decode()
    return said.decode()


async def test_the_demo_ends_with_the_address_of_the_runs_page_and_it_opens(
    browser: Browser, gateway: Gateway, tmp_path: Path
) -> None:
    said = await demo(tmp_path, gateway.port)

    found = re.search(r"See the run: (http://\S+/flow-run/\S+)", said)
    assert found, said
    for zone, named in (("UTC", "UTC"), ("Asia/Kolkata", "GMT+5:30")):
        context = await browser.new_context(timezone_id=zone)
        watched = Watched.of(await context.new_page(), f"http://127.0.0.1:{gateway.port}")
        page = watched.page
        await page.goto(found[1].replace("localhost", "127.0.0.1"))
        state = page.get_by_role("region", name="State")
        await expect(state.get_by_text("Success").first).to_be_visible()
        await expect(state.locator("time").first).to_contain_text(named)
        await expect(page.get_by_text("fetch_orders").first).to_be_visible()
        await page.get_by_role("tab", name="Logs").click()
        await expect(page.get_by_role("log").get_by_text("3 shops sold")).to_be_visible()
        await context.close()
        assert watched.faults == []
