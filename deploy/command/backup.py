"""`headwater backup create | verify` and `headwater restore`, for the embedded default."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.commands import local_settings, or_complain
from deploy.output import Json, console, progress, progress_bar, show_json

app = typer.Typer(help="Take backups of this machine's Headwater.", no_args_is_help=True)

Backup = Annotated[Path, typer.Argument(help="The folder of the backup.", resolve_path=True)]
Secrets = Annotated[
    Path | None,
    typer.Option(
        "--secrets",
        resolve_path=True,
        help="The file of the secrets, which are kept apart.",
        show_default="the backup's name with .secrets.json",
    ),
]

_KNOW = (
    "Runs that were made since are unknown now, and their processes are told so.",
    "API keys that were revoked since are valid again: revoke them once more.",
    "Times of schedules since are planned anew. JetStream is empty and made again at the start.",
)
"""What people must know after going back in time."""


@app.command()
def create(backup: Backup, *, secrets: Secrets = None, as_json: Json = False) -> None:
    """Take a backup while Headwater serves; the secrets go to a file apart."""
    from deploy.backup.create import create as take
    from deploy.engines import DataFolder
    from libs.runtime.clock import utc_now

    folder = DataFolder(local_settings().data)
    file = secrets or _beside(backup)
    with progress_bar("base backup", of_bytes=True) as shown:
        taken = or_complain(
            lambda: asyncio.run(take(folder, backup, file, now=utc_now(), progress=shown))
        )
    if as_json:
        document = asdict(taken) | {"backup": backup, "secrets": file}
        document.pop("fingerprints")
        show_json(document)
        return
    console.print(f"{backup} has {taken.bytes >> 20} MiB", markup=False)
    console.print(f"The secrets are in {file}; keep them elsewhere, and do not lose them.")
    console.print(f"Prove that it can be used: headwater backup verify {backup} --secrets {file}")


@app.command()
def verify(backup: Backup, *, secrets: Secrets = None, as_json: Json = False) -> None:
    """Prove that a backup can be used: start a PostgreSQL on a copy and read all of it."""
    from deploy.backup import restore as restoring

    file = secrets or _beside(backup)
    found = or_complain(lambda: asyncio.run(restoring.verify(backup, file, tell=progress)))
    if as_json:
        show_json(asdict(found))
    else:
        console.print(
            f"{backup} is good: {found.rows} rows in {found.tables} tables, migration {found.migration}, "
            f"{found.roles} roles log in"
        )


def restore(
    backup: Backup,
    *,
    secrets: Secrets = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Set the data that is there aside.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go back to a backup; Headwater must be stopped."""
    from deploy.backup import restore as restoring
    from deploy.engines import DataFolder
    from libs.runtime.clock import utc_now

    folder = DataFolder(local_settings().data)
    file = secrets or _beside(backup)
    done = or_complain(
        lambda: asyncio.run(
            restoring.restore(backup, file, folder, now=utc_now(), replace=replace, tell=progress)
        )
    )
    if as_json:
        show_json(
            {
                "data": folder.path,
                "taken_at": done.backup.taken_at,
                "set_aside": done.set_aside,
                "know": _KNOW,
            }
        )
        return
    console.print(f"{folder.path} is as of {done.backup.taken_at}", markup=False)
    if done.set_aside is not None:
        console.print(f"The former data is in {done.set_aside}; delete it when you are sure.")
    for sentence in _KNOW:
        console.print(sentence)
    console.print("Start it: headwater up")


def _beside(backup: Path) -> Path:
    return backup.with_name(f"{backup.name}.secrets.json")
