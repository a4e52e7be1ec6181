"""A backup that is taken under load and restored: the ledger is whole, and Headwater goes on from there."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from deploy.backup.create import create
from deploy.backup.restore import restore, verify
from deploy.engines import DataFolder, EngineError
from libs.contracts import streams
from libs.contracts.runs import RunKind
from libs.runtime.bus import Bus
from libs.runtime.clock import utc_now
from tests.faults.ledger_invariants import check_ledger
from tests.faults.ledger_load import Load
from tests.support.engines import json_as_values, make_folder
from tests.support.eventually import eventually
from tests.support.headwater import Headwater
from tests.support.ledger import register_flow

CLIENTS = 4


def nothing(*_: object) -> None:
    """Progress that nobody looks at."""


@asynccontextmanager
async def bus_of(headwater: Headwater) -> AsyncIterator[Bus]:
    record = json.loads((headwater.data / "running.json").read_text())
    address = f"127.0.0.1:{record['nats_port']}"
    bus = Bus(
        f"nats://headwater:{headwater.secret('nats')}@{address}", service="test", drain_timeout=1
    )
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


@asynccontextmanager
async def owner_pool(headwater: Headwater) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    record = json.loads((headwater.data / "running.json").read_text())
    async with asyncpg.create_pool(
        host="127.0.0.1",
        port=record["postgres_port"],
        user="headwater",
        password=headwater.secret("postgres"),
        database="headwater",
        min_size=1,
        max_size=2,
        init=json_as_values,
    ) as pool:
        yield pool


async def finished(load: Load, *, runs: int) -> None:
    """Wait until so many more runs have ended."""
    wanted = len(load.finished) + runs

    await eventually(lambda: len(load.finished) >= wanted, timeout=120.0)


async def all_published(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    async def empty() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM runs.outbox")

    await eventually(empty, timeout=60.0)


async def test_a_backup_under_load_brings_back_a_ledger_that_is_whole() -> None:
    folder = make_folder()
    backup, secrets = folder / "backup", folder / "secrets.json"
    headwater = Headwater(folder)
    data = DataFolder(headwater.data)
    try:
        async with headwater, bus_of(headwater) as bus, owner_pool(headwater) as pool:
            load = await Load.of(bus, await register_flow(pool), label_limit=3, tag_limit=2)
            stop = asyncio.Event()
            clients = [asyncio.create_task(load.drive(until=stop)) for _ in range(CLIENTS)]
            await finished(load, runs=20)
            before = set(load.finished)
            await create(data, backup, secrets, now=utc_now(), progress=nothing)
            after = set(load.created)
            await finished(load, runs=20)
            stop.set()
            await asyncio.gather(*clients)
            made_since = load.created - after
            with pytest.raises(EngineError, match="already running"):
                await restore(backup, secrets, data, now=utc_now(), replace=True, tell=nothing)

        proven = await verify(backup, secrets, tell=nothing)
        with pytest.raises(EngineError, match="say --replace"):
            await restore(backup, secrets, data, now=utc_now(), replace=False, tell=nothing)
        restored_at = utc_now()
        done = await restore(backup, secrets, data, now=restored_at, replace=True, tell=nothing)

        async with headwater, bus_of(headwater) as bus, owner_pool(headwater) as pool:
            await all_published(pool)
            await check_ledger(pool)
            states = {
                row["id"]: row["state"]
                for row in await pool.fetch("SELECT id, state FROM runs.flow_run")
            }
            load.bus = bus
            await end_of_all(load, pool)
            await load.one_run()
            await all_published(pool)
            await check_ledger(pool)
            events = await bus.js.stream_info(streams.EVENTS.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    assert proven.rows > 20
    assert done.set_aside is not None
    assert made_since
    assert {id_: states.get(id_) for id_ in before} == dict.fromkeys(before, "Success")
    assert not made_since & set(states)
    # JetStream knows nothing from before.
    assert events.created is not None
    assert events.created > restored_at


async def end_of_all(load: Load, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """The processes of the runs that were under way go on to their end."""
    for kind, table in ((RunKind.TASK_RUN, "task_run"), (RunKind.FLOW_RUN, "flow_run")):
        open_ones = await pool.fetch(f"SELECT id FROM runs.{table} WHERE state = 'Running'")
        for row in open_ones:
            await load._set(kind, row["id"], "Success")


async def test_a_damaged_backup_changes_nothing() -> None:
    folder = make_folder()
    backup, secrets = folder / "backup", folder / "secrets.json"
    headwater = Headwater(folder)
    data = DataFolder(headwater.data)
    try:
        async with headwater:
            pass
        # Taken of a Headwater that is stopped.
        await create(data, backup, secrets, now=utc_now(), progress=nothing)
        with pytest.raises(EngineError, match="exists already"):
            await create(data, backup, secrets, now=utc_now(), progress=nothing)
        inside = folder / "other" / "secrets.json"
        with pytest.raises(EngineError, match="would be inside the backup"):
            await create(data, folder / "other", inside, now=utc_now(), progress=nothing)
        was = (headwater.data / "secrets.json").read_bytes()
        damage(backup / "base" / "global")

        for work in (
            verify(backup, secrets, tell=nothing),
            restore(backup, secrets, data, now=utc_now(), replace=True, tell=nothing),
        ):
            with pytest.raises(EngineError, match="was changed or damaged; use another backup"):
                await work

        assert (headwater.data / "secrets.json").read_bytes() == was
        async with headwater:  # starts on what was there
            pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def damage(folder: Path) -> None:
    file = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
