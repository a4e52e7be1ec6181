"""Put a backup into a data folder, after it was checked; and prove that one can be."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from deploy.backup import digests, manifest
from deploy.backup.manifest import Manifest
from deploy.engines import DURABLE, DataFolder, EmbeddedEngines, EngineError
from deploy.engines.account import Account
from deploy.engines.errors import explain_os_error
from deploy.engines.folder import write_private
from deploy.migrate import role_url

Tell = Callable[[str], None]
_ROLE = "postgres."
"""What the names of the roles' passwords begin with in the secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was read from the PostgreSQL that was started on a copy."""

    tables: int
    rows: int
    roles: int
    migration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was restored, and where the former data was set aside, if there was any."""

    backup: Manifest
    set_aside: Path | None


async def verify(backup: Path, secrets_file: Path, *, tell: Tell) -> Verified:
    """Start a PostgreSQL on a copy of the backup and read all of it. EngineError says what is wrong with it."""
    found = manifest.read(backup)
    secrets = manifest.read_secrets(secrets_file, found)
    scratch = _scratch()
    folder = DataFolder(scratch / "data")
    try:
        await restore(
            backup,
            secrets_file,
            folder,
            now=datetime.min.replace(tzinfo=UTC),
            replace=False,
            tell=tell,
        )
        folder.claim()
        tell("starting PostgreSQL on a copy")
        engines = EmbeddedEngines(folder, DURABLE)
        await engines.postgres.start()
        try:
            tell("reading every table")
            return await _read_all(engines.endpoints.postgres_url(), secrets)
        finally:
            await engines.postgres.stop()
            shutil.rmtree(engines.home, ignore_errors=True)
    finally:
        folder.release()
        shutil.rmtree(scratch, ignore_errors=True)


async def restore(
    backup: Path,
    secrets_file: Path,
    folder: DataFolder,
    *,
    now: datetime,
    replace: bool,
    tell: Tell,
) -> Restored:
    """Make the data folder what it was when the backup was taken; JetStream is empty then.

    Refused while a Headwater runs on the folder, and if it has data, unless `replace` says to set that aside.
    """
    found = manifest.read(backup)
    secrets = manifest.read_secrets(secrets_file, found)
    tell("checking the digests of the backup")
    await asyncio.to_thread(digests.check, backup / manifest.BASE, found.wal)
    folder.claim(restoring=True)
    try:
        home, account = folder.engines_home()
        store = home / "postgres"
        if store.exists() and not replace and not folder.is_restoring():
            msg = (
                f"{folder.path} has data already; say --replace to set it aside, "
                "or set HEADWATER_DATA to a new folder."
            )
            raise EngineError(msg)
        tell(f"copying {found.bytes >> 20} MiB")
        fresh = home / "postgres.restored"
        await asyncio.to_thread(_copy, backup / manifest.BASE, fresh, account)
        aside = home / f"before-restore-{now:%Y%m%dT%H%M%S}"
        with folder.restoring():
            moved = _swap(folder, home, fresh, aside)
            write_private(folder.path / "secrets.json", json.dumps(secrets, indent=2) + "\n")
    except OSError as error:
        raise explain_os_error(error, path=folder.path, wanted="restore into") from None
    finally:
        folder.release()
    return Restored(backup=found, set_aside=aside if moved else None)


def _scratch() -> Path:
    """A folder for a copy, which the engines' account may enter."""
    scratch = Path(tempfile.mkdtemp(prefix="headwater-verify-"))
    scratch.chmod(0o711)
    return scratch


def _copy(base: Path, fresh: Path, account: Account | None) -> None:
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(base, fresh, symlinks=True)
    fresh.chmod(0o700)
    if account is not None:
        account.take(fresh)


def _swap(folder: DataFolder, home: Path, fresh: Path, aside: Path) -> bool:
    """Put the copy in place of what is there; whether something was set aside. JetStream's store goes with it."""
    moved = False
    for path in (home / "postgres", home / "nats", folder.path / "secrets.json"):
        if path.exists():
            aside.mkdir(mode=0o700, exist_ok=True)
            shutil.move(path, aside / path.name)
            moved = True
    fresh.rename(home / "postgres")
    return moved


async def _read_all(owner_url: str, secrets: dict[str, str]) -> Verified:
    """Log in as every role, then read every row as the owner; PostgreSQL checks each page's checksum."""
    roles = [name.removeprefix(_ROLE) for name in secrets if name.startswith(_ROLE)]
    try:
        for role in roles:
            url = role_url(owner_url, role=role, password=secrets[_ROLE + role])
            await (await asyncpg.connect(url, timeout=30)).close()
        connection = await asyncpg.connect(owner_url, timeout=30)
        try:
            tables = await connection.fetch(_TABLES)
            rows = 0
            for table in tables:
                rows += await connection.fetchval(f"SELECT count(t.*) FROM ONLY {table['name']} t")
            migration = await connection.fetchval("SELECT version_num FROM alembic_version")
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as error:
        msg = f"The backup starts, but it cannot be read ({error}); take another one."
        raise EngineError(msg) from None
    return Verified(tables=len(tables), rows=rows, roles=len(roles), migration=migration)


_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
 ORDER BY 1
"""
