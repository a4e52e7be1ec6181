"""Links that clients print and leave behind, opened in a real browser behind a proxy's path."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from services.gateway.app import Gateway
from tests.support.browser import Watched
from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.prefect_client import PrefectClient
from tests.support.services import all_services

PREFIX = "/tools/hw"
REGISTER = """
    from prefect import Client, Flow, task

    @task
    def extract():
        pass

    with Flow("orders") as flow:
        extract()

    Client().create_project("links")
    answer(flow.register("links"))
"""


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with all_services(stack, public_url=f"https://hw.example{PREFIX}") as gateway:
        yield gateway


@pytest.mark.client
@pytest.mark.slow
async def test_links_that_a_real_client_prints_land_below_a_proxys_path(
    page: Page, gateway: Gateway, tmp_path: Path
) -> None:
    at = f"http://127.0.0.1:{gateway.port}{PREFIX}"
    client = await PrefectClient.installed(
        "1.4.1",
        url=f"http://127.0.0.1:{gateway.port}",
        home=tmp_path,
        PREFECT__CLOUD__API=at,
        PREFECT__SERVER__UI__ENDPOINT=at,
    )
    registered = (await client.python(REGISTER)).output
    flow = re.search(r"Flow URL: (\S+)", registered)
    assert flow, registered
    made = (await client.cli("run", "--name", "orders", "--project", "links")).output
    run = re.search(r"URL: (\S+)", made)
    assert run, made
    assert flow[1].startswith(f"{at}/default/flow/")
    assert run[1].startswith(f"{at}/default/flow-run/")

    watched = Watched.of(page, f"http://127.0.0.1:{gateway.port}")
    await page.goto(flow[1])
    await expect(page.locator("h1")).to_have_text("orders")
    await page.goto(run[1])
    await expect(page.get_by_role("link", name="orders")).to_be_visible()
    assert page.url == run[1]

    # StartFlowRun leaves a link artifact that is a path, and knows of no proxy.
    path = run[1].removeprefix(at)
    async with Gql(at) as api:
        task_run = await task_run_of(api, run[1].rpartition("/")[2])
        await api(
            'mutation($t: UUID!, $d: JSON!) { create_task_run_artifact(input: {task_run_id: $t, kind: "link",'
            " data: $d}) { id } }",
            t=task_run,
            d={"link": path},
        )
    await page.goto(f"{at}/default/task-run/{task_run}?artifacts")
    await page.get_by_role("link", name=path).click()
    await page.wait_for_url(run[1])
    await expect(page.locator("h1")).to_be_visible()
    await watched.settled()
    assert watched.faults == []


async def task_run_of(api: Gql, run: str) -> str:
    found = await api(
        "query($r: uuid!) { task_run(where: {flow_run_id: {_eq: $r}}, limit: 1) { id } }", r=run
    )
    task_run: str = found["task_run"][0]["id"]
    return task_run
