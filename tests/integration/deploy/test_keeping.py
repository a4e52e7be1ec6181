"""A process that Headwater keeps running is started again, whatever its start first meets."""

import asyncio
import errno
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from deploy.engines import DataFolder, Endpoints, EngineError
from deploy.engines.spawn import spawn
from deploy.local import services
from deploy.local.services import Processes, Surroundings
from libs.contracts.services import SERVICES
from tests.support.engines import data_folder
from tests.support.eventually import eventually

REFUSALS = [
    OSError(errno.EAGAIN, "the process table is full"),
    OSError(errno.ENOMEM, "no memory"),
    EngineError("The disk is full; free some space and start again."),
]


@pytest.fixture
async def folder() -> AsyncIterator[DataFolder]:
    async with data_folder() as found:
        yield found


async def a_process(folder: DataFolder, code: str) -> Process:
    return await spawn(
        [sys.executable, "-c", code],
        account=None,
        death_signal=signal.SIGKILL,
        cwd=folder.path,
        log=folder.log("runs"),
    )


async def test_a_service_whose_restart_fails_is_tried_until_it_starts(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = list(REFUSALS)

    async def spawn_later(*_: Any, **__: Any) -> Process:
        if refusals:
            raise refusals.pop(0)
        return await a_process(folder, "import time; time.sleep(600)")

    monkeypatch.setattr(services, "spawn", spawn_later)
    surroundings = Surroundings(
        endpoints=Endpoints(
            postgres_host="127.0.0.1",
            postgres_port=1,
            postgres_password="-",
            postgres_socket=None,
            nats_port=1,
            nats_password="-",
        ),
        passwords=dict.fromkeys((*SERVICES, "reader"), "-"),
        host="127.0.0.1",
        port=1,
        keys={"auth": "off", "key_pepper": "-"},
    )
    processes = Processes(surroundings, folder)
    crashed = await a_process(folder, "")
    processes._processes["runs"] = crashed
    keeper = asyncio.create_task(processes._keep("runs"))
    try:
        replaced = await eventually(lambda: processes._processes["runs"] is not crashed, timeout=60)

        assert replaced
        assert not refusals
        assert not keeper.done()
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await processes.stop()
