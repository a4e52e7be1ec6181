"""Take a backup of the data folder's PostgreSQL, running or not."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from deploy.backup import digests, manifest
from deploy.backup.manifest import Manifest
from deploy.backup.tools import Progress, base_backup
from deploy.engines import DURABLE, DataFolder, EmbeddedEngines, EngineError
from deploy.engines.errors import explain_os_error
from deploy.engines.folder import write_private
from deploy.engines.programs import POSTGRES_MAJOR
from deploy.local import record
from libs.contracts.version import VERSION


async def create(
    folder: DataFolder, target: Path, secrets_file: Path, *, now: datetime, progress: Progress
) -> Manifest:
    """Write the backup `target` and, apart from it, the secrets. Both paths are absolute. EngineError says why it
    cannot be done."""
    _check(target, secrets_file)
    secrets = _secrets_of(folder)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise explain_os_error(error, path=partial, wanted="create") from None
    try:
        async with _server(folder) as port:
            base = partial / manifest.BASE
            await base_backup(base, port=port, password=secrets["postgres"], progress=progress)
        taken = Manifest(
            format=manifest.FORMAT,
            headwater=VERSION,
            postgres=POSTGRES_MAJOR,
            taken_at=now.isoformat(),
            bytes=size_of(base),
            fingerprints=manifest.fingerprints(secrets),
            wal=digests.wal_digests(base),
        )
        manifest.write(partial, taken)
        write_private(secrets_file, json.dumps(secrets, indent=2) + "\n")
        partial.rename(target)
    except OSError as error:
        raise explain_os_error(error, path=target, wanted="write") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return taken


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _check(target: Path, secrets_file: Path) -> None:
    if target.exists():
        msg = f"{target} exists already; name a new folder."
        raise EngineError(msg)
    if secrets_file.is_relative_to(target):
        msg = f"The secrets {secrets_file} would be inside the backup; keep them apart (--secrets)."
        raise EngineError(msg)
    if secrets_file.exists():
        msg = f"{secrets_file} exists already; name a new file with --secrets."
        raise EngineError(msg)
    if not secrets_file.parent.is_dir():
        msg = f"There is no folder {secrets_file.parent} for the secrets; make it, or name another file with --secrets."
        raise EngineError(msg)


def _secrets_of(folder: DataFolder) -> dict[str, str]:
    secrets = folder.all_secrets()
    if "postgres" not in secrets:
        msg = f"There is no data in {folder.path}; set HEADWATER_DATA to the folder of a Headwater."
        raise EngineError(msg)
    return secrets


@asynccontextmanager
async def _server(folder: DataFolder) -> AsyncIterator[int]:
    """The port of its PostgreSQL, which is started for this if Headwater is stopped."""
    found = record.read(folder)
    if found is not None:
        yield found.postgres_port
        return
    folder.claim()
    try:
        postgres = EmbeddedEngines(folder, DURABLE).postgres
        await postgres.start()
        try:
            yield postgres.port
        finally:
            await postgres.stop()
    finally:
        folder.release()
