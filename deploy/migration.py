"""Draft the next migration from the tables: `make migration m="add a column"`.

Compares `libs/schema` with a database that all present migrations have made, on engines that are thrown away. The draft
is to be read and finished by a person: Alembic sees neither partitions, functions nor a renamed column.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import asyncpg

from deploy.engines import FOR_TESTS, DataFolder, EmbeddedEngines, EngineError
from deploy.migrate import MIGRATIONS, migrate
from deploy.say import complain
from libs.schema import OWNERS


def next_revision(existing: list[str]) -> str:
    """The number after the highest one of these file names."""
    numbers = [int(name.split("_", 1)[0]) for name in existing if name[:4].isdigit()]
    return f"{max(numbers, default=0) + 1:04d}"


async def draft(message: str) -> None:
    """Write the draft below `deploy/migrations/versions`."""
    with tempfile.TemporaryDirectory(prefix="headwater-migration-") as scratch:
        os.chmod(scratch, 0o711)  # noqa: S103 - the engines' account passes through, when root runs this
        folder = DataFolder(Path(scratch, "data"))
        folder.claim()
        engines = EmbeddedEngines(folder, FOR_TESTS)
        await engines.postgres.start()
        try:
            url = engines.endpoints.postgres_url()
            await migrate(url, dict.fromkeys((*OWNERS, "reader"), "unused"))
            await _compare(url, message)
        finally:
            await engines.postgres.stop()
            folder.release()


async def _compare(url: str, message: str) -> None:
    from alembic import command  # noqa: PLC0415 - as in deploy.migrate
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import Connection  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    revision = next_revision([file.name for file in (MIGRATIONS / "versions").iterdir()])

    def write(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes["connection"] = connection
        command.revision(config, message=message, autogenerate=True, rev_id=revision)

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
