"""Whatever Headwater depends on is frozen or blocked: an alert of deploy/observability/alerts.yml fires within 30 s.

Frozen, not killed, because that is the harder case: connections stay open and nothing answers. Fires, not only moves:
the rule's own `for` has passed.
"""

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import asyncpg
import psutil
import pytest

from libs.contracts.services import SERVICES
from tests.support.alerts import Prometheus
from tests.support.eventually import eventually
from tests.support.headwater import Headwater

pytestmark = pytest.mark.slow

WITHIN = 30.0
EVERY = 1.0


@pytest.fixture(scope="module")
async def headwater(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Headwater]:
    async with Headwater(tmp_path_factory.mktemp("alerts")) as server:
        yield server


@pytest.fixture
async def prometheus(headwater: Headwater) -> Prometheus:
    """On a Headwater that is well: nothing fires."""
    prometheus = Prometheus(headwater.url, patience=3)

    async def well() -> bool:
        await prometheus.scrape(time.monotonic())
        ready = [
            v for (name, _), v in prometheus.history[-1][1].items() if name == "headwater_ready"
        ]
        return not prometheus.firing() and len(ready) == len(SERVICES) and all(ready)

    await eventually(well, timeout=90, pause=EVERY)
    return prometheus


@contextmanager
def frozen(*processes: psutil.Process) -> Iterator[None]:
    """SIGSTOP to each and what it started; SIGCONT at the end."""
    family = [p for process in processes for p in (process, *process.children(recursive=True))]
    for process in family:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)


async def fires(prometheus: Prometheus, alert: str, *wanted: dict[str, str]) -> float:
    """How long it took until the alert fired for a series with each of these labels."""
    began = time.monotonic()

    async def fired() -> bool:
        await prometheus.scrape(time.monotonic())
        series = prometheus.firing().get(alert, [])
        return all(any(w.items() <= found.items() for found in series) for w in wanted)

    await eventually(fired, timeout=WITHIN, pause=EVERY)
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("engine", "dependency"), [("postgres", "postgres"), ("nats-server", "nats")]
)
async def test_an_engine_that_hangs_is_alerted_for_every_service(
    headwater: Headwater, prometheus: Prometheus, engine: str, dependency: str
) -> None:
    with frozen(headwater.engine(engine)):
        took = await fires(
            prometheus,
            "HeadwaterDependencyDown",
            *({"service": name, "dependency": dependency} for name in sorted(SERVICES)),
        )

    assert took < WITHIN


async def test_a_loop_that_hangs_is_alerted(headwater: Headwater, prometheus: Prometheus) -> None:
    blocker = await asyncpg.connect(headwater.postgres_url("runs"))
    await blocker.execute("SET idle_in_transaction_session_timeout = 0")  # which ends such blockers
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE runs.outbox IN ACCESS EXCLUSIVE MODE")
            stale = await fires(
                prometheus, "HeadwaterLoopStale", {"service": "runs", "loop": "outbox"}
            )
            not_ready = await fires(prometheus, "HeadwaterNotReady", {"service": "runs"})
    finally:
        await blocker.close()

    assert stale + not_ready < WITHIN


async def test_a_process_that_hangs_is_alerted(
    headwater: Headwater, prometheus: Prometheus
) -> None:
    os.kill(headwater.pid, signal.SIGSTOP)
    try:
        took = await fires(prometheus, "HeadwaterServiceDown", {"job": "headwater"})
    finally:
        os.kill(headwater.pid, signal.SIGCONT)

    assert took < WITHIN
