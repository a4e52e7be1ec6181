"""The shipped alerts in a real Prometheus, and what the shipped Alertmanager sends of them.

A fault fires its alert within 60 s, and what follows from it is not sent beside it. A Headwater that is well and works
fires nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.offline.daemon import run
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.headwater import Headwater
from tests.support.prometheus import FOLDER, Prometheus, install, prometheus

pytestmark = pytest.mark.slow

WITHIN = 60.0
QUIET_FOR = 45.0
"""Seconds of a healthy Headwater: three times the longest `for` of an alert that pages, but one of a minute."""


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    install()


@pytest.fixture(scope="module")
async def headwater(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Headwater]:
    async with Headwater(tmp_path_factory.mktemp("watched")) as server:
        yield server


@pytest.fixture(scope="module")
async def watching(
    headwater: Headwater, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    address = headwater.url.removeprefix("http://")
    async with prometheus(tmp_path_factory.mktemp("prometheus"), {"headwater": [address]}) as found:
        yield found


@pytest.fixture
async def well(watching: Prometheus) -> Prometheus:
    """Scraped, and nothing fires."""

    async def is_well() -> bool:
        return await watching.healthy() == {"headwater"} and not await watching.pending()

    await eventually(is_well, timeout=240, pause=1)
    return watching


def test_promtool_and_amtool_find_nothing_wrong() -> None:
    run(["promtool", "check", "rules", str(FOLDER / "alerts.yml")])
    run(["amtool", "check-config", str(FOLDER / "alertmanager.yml")])


def test_the_shipped_configuration_of_prometheus_is_one(tmp_path: Path) -> None:
    config = (FOLDER / "prometheus.yml").read_text()
    file = tmp_path / "prometheus.yml"
    file.write_text(config.replace("/etc/prometheus/alerts.yml", str(FOLDER / "alerts.yml")))

    run(["promtool", "check", "config", str(file)])


def test_each_alert_of_the_deployment_fires_when_it_should_and_no_sooner(tmp_path: Path) -> None:
    cases = (Path(__file__).parent / "alerts_test.yml").read_text()
    file = tmp_path / "alerts_test.yml"
    file.write_text(cases.replace("ALERTS", str(FOLDER / "alerts.yml")))

    run(["promtool", "test", "rules", str(file)])


async def test_a_headwater_that_is_well_and_works_fires_nothing(
    headwater: Headwater, well: Prometheus
) -> None:
    seen: set[str] = set()
    async with Gql(headwater.url) as api:
        until = asyncio.get_running_loop().time() + QUIET_FOR
        while asyncio.get_running_loop().time() < until:
            await api("query { flow_run(limit: 1) { id } }")
            await asyncio.sleep(0.5)
            seen |= await well.firing()

    assert seen == set()


@pytest.mark.parametrize("engine", ["postgres", "nats-server"])
async def test_an_engine_that_hangs_is_one_alert_for_its_cause(
    headwater: Headwater, well: Prometheus, engine: str
) -> None:
    process = headwater.engine(engine)
    family = [process, *process.children(recursive=True)]
    for each in family:
        os.kill(each.pid, signal.SIGSTOP)
    try:
        await eventually(lambda: _fires(well, "HeadwaterDependencyDown"), timeout=WITHIN, pause=1)
        # What follows fires, too, and is not sent: loops that stand still, and a gateway that is degraded.
        await eventually(lambda: _more_fires(well), timeout=WITHIN, pause=1)
        await eventually(lambda: _only_the_cause_is_sent(well), timeout=WITHIN, pause=1)
    finally:
        for each in family:
            os.kill(each.pid, signal.SIGCONT)


async def test_a_process_that_hangs_is_alerted(headwater: Headwater, well: Prometheus) -> None:
    os.kill(headwater.pid, signal.SIGSTOP)
    try:
        await eventually(lambda: _fires(well, "HeadwaterServiceDown"), timeout=WITHIN, pause=1)
    finally:
        os.kill(headwater.pid, signal.SIGCONT)


async def _fires(watching: Prometheus, alert: str) -> bool:
    return alert in await watching.firing()


async def _more_fires(watching: Prometheus) -> bool:
    return len(await watching.firing()) > 1


async def _only_the_cause_is_sent(watching: Prometheus) -> bool:
    return await watching.sent() == {"HeadwaterDependencyDown"}
