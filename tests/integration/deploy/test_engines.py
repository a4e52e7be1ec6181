"""The embedded engines: started, killed, orphaned, refused. Each test has a data folder of its own."""

import asyncio
import os
import shutil
import signal
import socket
import stat
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest
from nats.aio.client import Client

from deploy.engines import DURABLE, FOR_TESTS, DataFolder, EmbeddedEngines, EngineError
from deploy.engines.spawn import is_alive
from deploy.engines.supervisor import Supervisor
from tests.support.engines import make_folder
from tests.support.eventually import eventually
from tests.support.parents import ORDINARY_USER, EngineParent

SETTLES = 60.0
"""Seconds; durable engines wait for the disk when they start and when they end."""


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    """A data folder that is gone afterwards."""
    folder = make_folder()
    yield folder / "data"
    # A killed parent's engines may still be writing their last.
    await eventually(partial(_removed, folder), timeout=SETTLES)


async def test_a_first_start_and_a_second_one_find_the_same_data_on_the_same_ports(
    path: Path,
) -> None:
    async with EngineParent(path) as first:
        await _execute(first.said["postgres_url"], "CREATE TABLE kept AS SELECT 42 AS answer")
        await _publish(first.said["nats_url"])

    async with EngineParent(path) as second:
        answer = await _fetch(second.said["postgres_url"], "SELECT answer FROM kept")
        messages = await _count_messages(second.said["nats_url"])

    assert answer == 42
    assert messages == 1
    assert second.said["postgres_port"] == first.said["postgres_port"]
    assert second.said["nats_port"] == first.said["nats_port"]
    assert not any(map(is_alive, first.engines))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
async def test_an_ordinary_user_runs_the_engines_as_itself(path: Path) -> None:
    path.mkdir()
    os.chown(path, ORDINARY_USER, ORDINARY_USER)

    async with EngineParent(path, uid=ORDINARY_USER) as parent:
        owners = [engine.uids().real for engine in parent.engines]
        answer = await _fetch(parent.said["postgres_url"], "SELECT 1")

    assert owners == [ORDINARY_USER, ORDINARY_USER]
    assert answer == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_under_root_neither_engine_runs_as_root(path: Path) -> None:
    async with EngineParent(path) as parent:
        owners = {engine.uids().real for engine in parent.engines}

    assert 0 not in owners


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_under_root_a_data_folder_that_nobody_can_reach_stays_closed(path: Path) -> None:
    path.parent.chmod(0o700)

    async with EngineParent(path) as first:
        home = Path(first.said["home"])
        await _execute(first.said["postgres_url"], "CREATE TABLE kept AS SELECT 42 AS answer")
    async with EngineParent(path) as second:
        answer = await _fetch(second.said["postgres_url"], "SELECT answer FROM kept")
    shutil.rmtree(home)

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert home.is_relative_to("/var/lib/headwater")
    assert answer == 42


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_a_store_outside_of_a_temporary_folder_goes_when_the_folder_is_gone(
    path: Path,
) -> None:
    path.parent.chmod(0o700)
    async with EngineParent(path) as first:
        left_behind = Path(first.said["home"])
    shutil.rmtree(path)

    async with EngineParent(path) as second:
        home = Path(second.said["home"])

    shutil.rmtree(home)
    assert home != left_behind
    assert not left_behind.exists()


async def test_postgres_killed_comes_back_on_its_port_with_what_was_committed(path: Path) -> None:
    async with Engines(path) as engines:
        url = engines.endpoints.postgres_url(database="postgres")
        await _execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert engines.postgres.pid is not None

        os.kill(engines.postgres.pid, signal.SIGKILL)
        await eventually(lambda: engines.postgres.restarts == 1, timeout=SETTLES)

        assert await _fetch(url, "SELECT answer FROM kept") == 42


async def test_nats_killed_comes_back_on_its_port_with_its_messages(path: Path) -> None:
    async with Engines(path) as engines:
        url = engines.endpoints.nats_url
        await _publish(url)
        assert engines.nats.pid is not None

        os.kill(engines.nats.pid, signal.SIGKILL)
        await eventually(lambda: engines.nats.restarts == 1, timeout=SETTLES)

        assert await _count_messages(url) == 1


async def test_an_engine_that_keeps_dying_is_started_every_time(path: Path) -> None:
    async with Engines(path) as engines:
        for _ in range(3):
            restarts = engines.nats.restarts
            assert engines.nats.pid is not None
            os.kill(engines.nats.pid, signal.SIGKILL)
            await eventually(partial(_has_restarted, engines.nats, after=restarts), timeout=SETTLES)

        await _publish(engines.endpoints.nats_url)


async def test_a_killed_parent_leaves_no_engines(path: Path) -> None:
    async with EngineParent(path) as parent:
        engines = parent.engines
        parent.kill()

        await eventually(lambda: not any(map(is_alive, engines)), timeout=SETTLES)


async def test_what_was_committed_before_the_parent_was_killed_is_there_after_it(
    path: Path,
) -> None:
    async with EngineParent(path) as killed:
        await _execute(killed.said["postgres_url"], "CREATE TABLE kept AS SELECT 42 AS answer")
        killed.kill()

    # At once: the old engines may still be shutting down.
    async with EngineParent(path) as parent:
        assert await _fetch(parent.said["postgres_url"], "SELECT answer FROM kept") == 42


async def test_orphans_are_ended_before_a_new_start(path: Path) -> None:
    async with EngineParent(path) as killed:
        orphans = killed.engines
        # Stopped processes do not hear the kernel's signal: as an orphan where the kernel sends none.
        for orphan in orphans:
            orphan.suspend()
        killed.kill()
        for orphan in orphans:
            orphan.resume()

    async with EngineParent(path) as parent:
        assert await _fetch(parent.said["postgres_url"], "SELECT 1") == 1
        assert not any(map(is_alive, orphans))


async def test_a_pid_file_that_names_somebody_else_harms_nobody(path: Path) -> None:
    async with EngineParent(path) as parent:
        home = Path(parent.said["home"])
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    (home / "nats.pid").write_text(f'{{"pid": {bystander.pid}}}')
    (home / "postgres.pid").write_text(f'{{"pid": {bystander.pid}}}')

    async with EngineParent(path):
        survived = bystander.returncode is None

    bystander.kill()
    await bystander.wait()
    assert survived


async def test_a_stale_lock_file_of_postgres_with_a_number_used_again_is_cleared(
    path: Path,
) -> None:
    async with EngineParent(path) as parent:
        home = Path(parent.said["home"])
        lock = home / "postgres" / "postmaster.pid"
        left_behind = lock.read_text()
        account = psutil.Process(parent.said["postgres_pid"]).uids().real
        parent.kill()
    # It removes its lock file when it ends.
    await eventually(lambda: not any(map(is_alive, parent.engines)), timeout=SETTLES)
    bystander = await asyncio.create_subprocess_exec(
        "sleep", "60", user=account if os.geteuid() == 0 else None
    )
    _, rest = left_behind.split("\n", 1)
    lock.write_text(f"{bystander.pid}\n{rest}")
    lock.chmod(0o644)

    async with EngineParent(path) as again:
        answer = await _fetch(again.said["postgres_url"], "SELECT 1")

    bystander.kill()
    await bystander.wait()
    assert answer == 1


async def test_a_second_start_on_the_same_data_is_refused_by_name(path: Path) -> None:
    async with EngineParent(path) as first:
        second = EngineParent(path)

        complaint = await second.refusal()

    assert complaint == (
        f"headwater: Headwater is already running on {path} (process {first.said['pid']}); "
        "stop it with `make down`, or set HEADWATER_DATA to another folder.\n"
    )


async def test_the_lock_of_a_dead_process_stops_nobody(path: Path) -> None:
    async with EngineParent(path) as killed:
        killed.kill()
        await killed.gone()

    assert (path / "lock").exists()
    folder = DataFolder(path)
    folder.claim()
    folder.release()


async def test_a_port_that_was_taken_meanwhile_is_changed(path: Path) -> None:
    async with EngineParent(path) as first:
        pass
    with socket.socket() as other:
        # Connections of the first that linger are in nobody's way.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first.said["postgres_port"]))
        other.listen()

        async with EngineParent(path) as second:
            answer = await _fetch(second.said["postgres_url"], "SELECT 1")

    assert second.said["postgres_port"] != first.said["postgres_port"]
    assert answer == 1


async def test_nobody_gets_in_without_the_password(path: Path) -> None:
    async with Engines(path) as engines:
        postgres = engines.endpoints.postgres_url(database="postgres", password="wrong")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres)
        client = Client()
        with pytest.raises(nats.errors.Error, match=r"(?i)authorization violation"):
            await client.connect(f"nats://127.0.0.1:{engines.nats.port}", allow_reconnect=False)
        await client.close()


async def test_nobody_gets_in_over_the_socket_without_the_password(path: Path) -> None:
    async with Engines(path) as engines:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                host=str(engines.home / "run"), port=engines.postgres.port,
                user="headwater", database="postgres", password="wrong",
            )  # fmt: skip


async def test_passwords_are_for_their_owner_only(path: Path) -> None:
    async with EngineParent(path) as parent:
        kept = [path / "secrets.json", Path(parent.said["home"]) / "nats.conf"]
        modes = [stat.S_IMODE(file.stat().st_mode) for file in kept]

    assert modes == [0o600, 0o600]


async def test_a_start_that_was_interrupted_in_initdb_is_begun_anew(path: Path) -> None:
    async with EngineParent(path) as parent:
        home = Path(parent.said["home"])
    (home / "postgres").rename(home / "postgres.new")

    async with EngineParent(path) as again:
        assert await _fetch(again.said["postgres_url"], "SELECT 1") == 1


async def test_data_of_another_version_of_postgres_is_refused_untouched(path: Path) -> None:
    async with EngineParent(path) as parent:
        version = Path(parent.said["home"]) / "postgres" / "PG_VERSION"
    version.write_text("15\n")

    complaint = await EngineParent(path).refusal()

    assert complaint.startswith(f"headwater: The data in {version.parent} is of PostgreSQL 15")
    assert version.read_text() == "15\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
async def test_a_data_folder_that_is_not_writable_is_said_so(path: Path) -> None:
    path.mkdir(mode=0o755)

    complaint = await EngineParent(path, uid=ORDINARY_USER).refusal()

    assert complaint == (
        f"headwater: Cannot write to {path} (Permission denied); make it writable for this account "
        "or set HEADWATER_DATA to a folder that is.\n"
    )


async def test_a_file_in_the_way_of_the_data_folder_is_said_so(path: Path) -> None:
    path.write_text("not a folder")

    complaint = await EngineParent(path).refusal()

    assert complaint == (
        f"headwater: Cannot write to {path}: a file is in the way; move it or set HEADWATER_DATA elsewhere.\n"
    )


async def test_damaged_secrets_are_said_so_and_kept(path: Path) -> None:
    path.mkdir(mode=0o711)
    (path / "secrets.json").write_text("{ not json")

    complaint = await EngineParent(path).refusal()

    assert complaint.startswith(f"headwater: Cannot read {path / 'secrets.json'}")
    assert (path / "secrets.json").read_text() == "{ not json"


async def test_if_one_engine_cannot_start_the_other_is_not_left_running(path: Path) -> None:
    folder = DataFolder(path)
    folder.claim()
    engines = EmbeddedEngines(folder, FOR_TESTS)
    (engines.home / "nats").write_text("a file in the way of the store")

    with pytest.raises(EngineError, match="a file is in the way"):
        await engines.start()

    assert engines.postgres.pid is None
    folder.release()


def _removed(folder: Path) -> bool:
    shutil.rmtree(folder)
    return True


def _has_restarted(engine: Supervisor, *, after: int) -> bool:
    return engine.restarts == after + 1


class Engines:
    """Durable engines in this process."""

    def __init__(self, path: Path) -> None:
        self._folder = DataFolder(path)

    async def __aenter__(self) -> EmbeddedEngines:
        self._folder.claim()
        self._running = EmbeddedEngines(self._folder, DURABLE)
        await self._running.start()
        return self._running

    async def __aexit__(self, *_: object) -> None:
        await self._running.stop()
        self._folder.release()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def _fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    found: object = await connection.fetchval(query)
    await connection.close()
    return found


async def _publish(url: str) -> None:
    client = await nats.connect(url)
    js = client.jetstream()
    await js.add_stream(name="KEPT", subjects=["kept"])
    await js.publish("kept", b"42")
    await client.close()


async def _count_messages(url: str) -> int:
    client = await nats.connect(url)
    found = (await client.jetstream().stream_info("KEPT")).state.messages
    await client.close()
    return found
