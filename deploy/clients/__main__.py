"""`python -m deploy.clients [VERSION [DEST]]`: install a real Prefect client of that version."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.clients import install


def main(
    version: Annotated[str | None, typer.Argument(help="For example 1.4.1.")] = None,
    dest: Annotated[Path | None, typer.Argument(help="Default: the cache.")] = None,
) -> None:
    """Install a real Prefect client into a virtual environment of its own."""
    console = Console()
    if version is None:
        console.print(_overview())
        return
    try:
        with console.status(f"prefect {version}") as status:
            environment = install.ensure(
                version, dest, report=lambda line: status.update(f"prefect {version}: {line}")
            )
    except install.ClientInstallError as error:
        Console(stderr=True).print(f"[red]prefect {version}:[/red] {error}", highlight=False)
        raise typer.Exit(1) from error
    console.print(f"prefect {version} is in {environment.root}", highlight=False, soft_wrap=True)


def _overview() -> Table:
    table = Table("version", "environment", "installed")
    for version in install.versions():
        root = install.cache() / f"prefect-{version}"
        table.add_row(version, str(root), "yes" if (root / install.STAMP).exists() else "")
    return table


if __name__ == "__main__":
    typer.run(main)
