"""`headwater export` and `headwater import tenant`: a tenant from one Headwater to another."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from deploy.local.commands import local_settings, or_complain
from deploy.output import Json, console, progress_bar, show_json
from deploy.say import complain

if TYPE_CHECKING:
    from deploy.transfer.export import Connection

T = TypeVar("T")
Folder = Annotated[Path, typer.Argument(help="The folder of the export.", resolve_path=True)]


def export(
    tenant: Annotated[str, typer.Argument(help="Slug or id of the tenant.")],
    folder: Folder,
    *,
    as_json: Json = False,
) -> None:
    """Write a tenant with all its history to a folder, while Headwater serves."""
    from deploy.transfer.export import export as write
    from libs.runtime.clock import utc_now

    url, pepper = _owner()
    with progress_bar("tables") as shown:
        done = _with_connection(
            url, lambda c: write(c, tenant, folder, pepper=pepper, now=utc_now(), progress=shown)
        )
    if as_json:
        rows = {table.name: table.rows for table in done.tables}
        show_json({"folder": folder, "tenant_id": done.tenant_id, "slug": done.slug, "rows": rows})
    else:
        console.print(f"{done.rows} rows of the tenant {done.slug} are in {folder}", markup=False)


def import_tenant(
    folder: Folder,
    *,
    secrets: Annotated[
        Path | None,
        typer.Option(
            help="secrets.json of the Headwater that was exported, if its pepper is another one."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take an exported tenant in, all of it or nothing."""
    from deploy.transfer.take_in import take_in

    url, pepper = _owner()
    former = None if secrets is None else _pepper_of(secrets)
    with progress_bar("tables") as shown:
        done = _with_connection(
            url,
            lambda c: take_in(c, folder, pepper=pepper, former_pepper=former, progress=shown),
        )
    if as_json:
        show_json(
            {
                "tenant_id": done.manifest.tenant_id,
                "slug": done.manifest.slug,
                "rows": done.rows,
                "resealed": done.resealed,
                "keys_left_out": done.keys_left_out,
            }
        )
        return
    console.print(f"{done.rows} rows of the tenant {done.manifest.slug} were imported")
    if done.resealed:
        console.print(f"{done.resealed} secrets were sealed anew")
    if done.keys_left_out:
        console.print(
            f"{done.keys_left_out} API keys work only with the former pepper and were left out; make new ones: "
            f"headwater keys create --tenant {done.manifest.slug}"
        )


def _owner() -> tuple[str, bytes]:
    """The URL of the database's owner, and the pepper; ends the command with a sentence if there is none."""
    from urllib.parse import quote

    from deploy.engines import DataFolder, EngineError
    from deploy.engines.embedded import DATABASE
    from deploy.engines.postgres import SUPERUSER
    from deploy.local import record

    url, pepper = os.environ.get("HEADWATER_POSTGRES_URL"), os.environ.get("HEADWATER_KEY_PEPPER")
    if url and pepper:
        return url, pepper.encode()
    if url or pepper:
        msg = "HEADWATER_POSTGRES_URL (of the owner, as for migrating) and HEADWATER_KEY_PEPPER must both be set."
        complain(EngineError(msg))
    folder = DataFolder(local_settings().data)
    found = or_complain(lambda: record.read(folder))
    if found is None:
        msg = f"no Headwater runs on {folder.path}; start it (headwater up), then ask again"
        complain(EngineError(msg))
    secret = quote(folder.secret("postgres"), safe="")
    address = f"{SUPERUSER}:{secret}@127.0.0.1:{found.postgres_port}/{DATABASE}"
    return f"postgresql://{address}", folder.secret("gateway.key_pepper").encode()


def _pepper_of(file: Path) -> bytes:
    try:
        return str(json.loads(file.read_text())["gateway.key_pepper"]).encode()
    except (OSError, ValueError, KeyError, TypeError):
        complain(Exception(f"--secrets: {file} holds no secrets of a Headwater."))


def _with_connection(url: str, work: "Callable[[Connection], Awaitable[T]]") -> T:
    import asyncpg

    from deploy.transfer.manifest import TransferError

    async def whole() -> T:
        connection = await asyncpg.connect(url, timeout=30)
        try:
            return await work(connection)
        finally:
            await connection.close()

    try:
        return asyncio.run(whole())
    except TransferError as error:
        complain(error)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        complain(Exception(f"PostgreSQL does not answer as it should: {error}"))
