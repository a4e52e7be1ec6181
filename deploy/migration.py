"""Draft the next migration from the tables: `make migration m="add a column"`.

Compares `libs/schema` with a database made by all current migrations, on temporary engines. A person must read and
finish the draft: Alembic sees neither partitions, functions nor a renamed column. The schema of a service that is new
is in it.
"""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import asyncpg

from deploy.engines import FOR_TESTS, DataFolder, EmbeddedEngines, EngineError
from deploy.migrate import MIGRATIONS, connect_or_create, migrate
from deploy.say import complain
from libs.schema import OWNERS


def next_revision(existing: list[str]) -> str:
    """The next number after the highest one in these file names."""
    numbers = [int(name.split("_", 1)[0]) for name in existing if name[:4].isdigit()]
    return f"{max(numbers, default=0) + 1:04d}"


async def draft(message: str) -> None:
    """Write the draft below `deploy/migrations/versions`."""
    with tempfile.TemporaryDirectory(prefix="headwater-migration-") as scratch:
        os.chmod(scratch, 0o711)  # noqa: S103 - the engines' account needs access when root runs this
        folder = DataFolder(Path(scratch, "data"))
        folder.claim()
        engines = EmbeddedEngines(folder, FOR_TESTS)
        await engines.postgres.start()
        try:
            url = engines.endpoints.postgres_url()
            missing = missing_schemas(
                file.read_text() for file in (MIGRATIONS / "versions").glob("*.*")
            )
            await _make(url, missing)
            await migrate(url, dict.fromkeys((*OWNERS, "reader"), "unused"))
            await write_draft(MIGRATIONS, url, message, new_schemas=missing)
        finally:
            await engines.postgres.stop()
            folder.release()


def missing_schemas(sources: Iterable[str], owners: Iterable[str] = OWNERS) -> list[str]:
    """The services whose schema none of these migrations makes."""
    made = set(re.findall(r"CREATE SCHEMA (\w+)", "\n".join(sources)))
    return [owner for owner in owners if owner not in made]


async def _make(url: str, schemas: list[str]) -> None:
    """A role is granted its schema after all migrations, of which the one that makes a new service's is to come."""
    connection = await connect_or_create(url, wait=timedelta(seconds=60))
    try:
        for name in schemas:
            await connection.execute(f"CREATE SCHEMA {name}")
    finally:
        await connection.close()


async def write_draft(scripts: Path, url: str, message: str, *, new_schemas: list[str]) -> None:
    """Write what the tables have and the database has not into `scripts`, a folder of Alembic's."""
    from alembic import command  # noqa: PLC0415 - as in deploy.migrate
    from alembic.config import Config  # noqa: PLC0415
    from alembic.operations.ops import ExecuteSQLOp, MigrationScript  # noqa: PLC0415
    from sqlalchemy import Connection  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    revision = next_revision([file.name for file in (scripts / "versions").iterdir()])

    def with_schemas(_context: object, _revision: object, drafts: list[MigrationScript]) -> None:
        for script in drafts:
            assert script.upgrade_ops is not None  # noqa: S101 - of a script that Alembic has just made
            assert script.downgrade_ops is not None  # noqa: S101 - as above
            script.upgrade_ops.ops[:0] = [
                ExecuteSQLOp(f"CREATE SCHEMA {name}") for name in new_schemas
            ]
            script.downgrade_ops.ops += [
                ExecuteSQLOp(f"DROP SCHEMA {name}") for name in new_schemas
            ]

    def write(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(scripts))
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes["connection"] = connection
        command.revision(
            config,
            message=message,
            autogenerate=True,
            rev_id=revision,
            process_revision_directives=with_schemas,
        )

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url)
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(write)
    finally:
        await engine.dispose()


def main() -> None:
    """Draft a migration with the message on the command line."""
    message = " ".join(sys.argv[1:]).strip()
    if not message:
        complain(EngineError('Say what it does: make migration m="add a column".'))
    try:
        asyncio.run(draft(message))
    except EngineError as error:
        complain(error)


if __name__ == "__main__":
    main()
