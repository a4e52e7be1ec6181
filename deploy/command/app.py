"""The command `headwater`, put together."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from deploy.command import api, backup, keys, transfer
from deploy.local.commands import app as local

app = typer.Typer(
    name="headwater",
    help="A self-hosted control plane for Prefect 0.x-1.x flows.",
    epilog="Exit codes: 0 done, 1 it could not be done (a sentence says why), 2 wrong command line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
moving = typer.Typer(help="Take in a tenant or a history.", no_args_is_help=True)

_MOVING_IN = "deploy.moving_in"
"""The package that reads other servers; its `cli` has a typer.Typer called `app`."""


def _version(*, value: bool) -> None:
    if value:
        from libs.contracts.version import VERSION

        sys.stdout.write(f"headwater {VERSION}\n")
        raise typer.Exit


@app.callback()
def headwater(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A self-hosted control plane for Prefect 0.x-1.x flows."""


@app.command(rich_help_panel="On this machine")
def demo() -> None:
    """Register, schedule and run real Prefect flows, and show what happened."""
    from deploy.demo.__main__ import main as tell_the_story

    raise typer.Exit(tell_the_story())


app.add_typer(local)
app.command(rich_help_panel="On this machine")(api.check)
app.add_typer(keys.app, name="keys", rich_help_panel="Tenants and automations")
app.add_typer(keys.tenants_app, name="tenants", rich_help_panel="Tenants and automations")
app.add_typer(api.automations, name="automations", rich_help_panel="Tenants and automations")
app.add_typer(backup.app, name="backup", rich_help_panel="Data")
app.command(rich_help_panel="Data")(backup.restore)
app.command(rich_help_panel="Data")(transfer.export)
moving.command("tenant")(transfer.import_tenant)
if find_spec(_MOVING_IN) is not None:
    moving.add_typer(import_module(f"{_MOVING_IN}.cli").app)
app.add_typer(moving, name="import", rich_help_panel="Data")


def main() -> None:
    """Run the command line."""
    app(prog_name="headwater")
