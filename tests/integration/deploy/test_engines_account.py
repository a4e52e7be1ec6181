"""Under root the engines run as a user of their own: nobody else reads their files, and nothing of them is left."""

import asyncio
import os
import pwd
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.engines import DURABLE, DataFolder, EmbeddedEngines, leftovers
from deploy.engines.account import SYSTEM_STORE, Account
from tests.support.engines import make_folder

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: the account is root's to choose"
)


@pytest.fixture
def data() -> Iterator[DataFolder]:
    path = make_folder()
    folder = DataFolder(path / "data")
    folder.claim()
    yield folder
    folder.release()
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
async def engines(data: DataFolder) -> AsyncIterator[EmbeddedEngines]:
    async with EmbeddedEngines(data, DURABLE) as running:
        yield running


def files_of(home: Path) -> list[Path]:
    return [Path(folder) / name for folder, _, names in os.walk(home) for name in names]


async def readable_by_nobody(paths: list[Path]) -> list[str]:
    """Those of the files that a process of `nobody` in its own group can open."""
    nobody = pwd.getpwnam("nobody")
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", 'while read -r path; do if [ -r "$path" ]; then echo "$path"; fi; done'),
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate("".join(f"{path}\n" for path in paths).encode())
    return said.decode().splitlines()


async def test_a_process_of_nobody_reads_no_file_of_the_engines(engines: EmbeddedEngines) -> None:
    files = files_of(engines.home)

    assert len(files) > 100
    assert await readable_by_nobody([Path("/etc/passwd")]) == ["/etc/passwd"]
    assert await readable_by_nobody(files) == []
    for name in ("postgres", "nats"):
        assert stat.S_IMODE((engines.home / name).stat().st_mode) == 0o700


async def test_no_entry_of_the_machine_and_no_other_process_has_the_engines_user(
    engines: EmbeddedEngines,
) -> None:
    assert engines.account is not None
    ours = {engines.postgres.pid, engines.nats.pid}
    running = {
        process.pid
        for process in psutil.process_iter(["uids", "ppid"])
        if process.info["uids"]
        and process.info["uids"].real == engines.account.uid
        and process.info["ppid"] != engines.postgres.pid
    }

    assert running == ours
    with pytest.raises(KeyError):
        pwd.getpwuid(engines.account.uid)


async def test_the_user_of_a_data_folder_stays_the_same(data: DataFolder) -> None:
    async with EmbeddedEngines(data, DURABLE) as first:
        owner = first.account
    async with EmbeddedEngines(data, DURABLE) as second:
        assert second.account == owner


async def test_stores_that_belong_to_nobody_are_taken_over_with_what_they_hold(
    data: DataFolder,
) -> None:
    entry = pwd.getpwnam("nobody")
    nobody = Account(name="nobody", uid=entry.pw_uid, gid=entry.pw_gid)
    async with EmbeddedEngines(data, DURABLE) as before:
        connection = await asyncpg.connect(before.endpoints.postgres_url(database="postgres"))
        await connection.execute("CREATE TABLE public.kept AS SELECT 42 AS answer")
        await connection.close()
    for name in ("postgres", "nats", "run"):
        nobody.take(before.home / name)
    before.home.chmod(0o711)

    async with EmbeddedEngines(data, DURABLE) as after:
        connection = await asyncpg.connect(after.endpoints.postgres_url(database="postgres"))
        answer = await connection.fetchval("SELECT answer FROM public.kept")
        await connection.close()

        assert answer == 42
        assert await readable_by_nobody(files_of(after.home)) == []


def test_copies_of_programs_from_which_nothing_runs_are_removed(tmp_path: Path) -> None:
    stores = tmp_path / "headwater"
    copy = stores / "programs" / "postgres-1"
    copy.mkdir(parents=True)
    (copy / "postgres").write_text("a program")
    os.utime(copy, (0, 0))

    assert leftovers.sweep(stores) == []
    assert not stores.exists()


def test_a_store_whose_data_folder_is_gone_is_named_and_kept(tmp_path: Path) -> None:
    store = tmp_path / "headwater" / "data-1"
    store.mkdir(parents=True)
    (store / "belongs-to").write_text("/srv/gone\n")

    [left] = leftovers.sweep(store.parent)

    assert left.startswith("The data of /srv/gone, which is gone, is still in")
    assert store.exists()


def test_a_store_that_another_start_removes_meanwhile_stops_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "headwater" / "data-1"
    store.mkdir(parents=True)
    (store / "belongs-to").write_text("/srv/gone\n")
    read = Path.read_text

    def too_late(path: Path) -> str:
        shutil.rmtree(path.parent)
        return read(path)

    monkeypatch.setattr(Path, "read_text", too_late)

    assert leftovers.sweep(store.parent) == []


async def test_of_a_data_folder_that_the_engines_could_not_reach_nothing_is_left_when_it_is_gone(
    tmp_path: Path,
) -> None:
    # As a folder below /root is: only root may enter.
    hidden = tmp_path / "root's own"
    hidden.mkdir(mode=0o700)
    folder = DataFolder(hidden / "data")
    folder.claim()
    try:
        async with EmbeddedEngines(folder, DURABLE) as engines:
            store = engines.home
    finally:
        folder.release()
    kept = leftovers.sweep()
    stays = (store / "postgres").exists()
    shutil.rmtree(hidden)

    said = leftovers.sweep()

    assert store.parent == SYSTEM_STORE
    assert not any(str(store) in line for line in kept), "its folder was there"
    assert stays, "data outlives a stop"
    assert not store.exists()
    assert not any(str(store) in line for line in said)
