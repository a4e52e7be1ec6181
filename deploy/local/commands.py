"""The command line. Each command ends in 0, or in 1 with one sentence on standard error."""

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import psutil
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from deploy.engines import DataFolder, EngineError, leftovers
from deploy.engines.embedded import DATABASE
from deploy.local import background, record
from deploy.local.settings import LocalSettings
from deploy.migrate import role_url
from deploy.say import complain
from libs.runtime.clock import utc_now

app = typer.Typer(
    help="Headwater on this machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
console = Console(highlight=False, soft_wrap=True)

Processes = Annotated[
    bool, typer.Option("--processes", help="One process for each service, as in production.")
]


@app.command()
def run(*, processes: Processes = False) -> None:
    """Run Headwater in the foreground until Ctrl-C."""
    import uvloop  # noqa: PLC0415 - only this command needs it

    from deploy.local import foreground  # noqa: PLC0415
    from libs.runtime import log  # noqa: PLC0415

    log.configure(json=not sys.stderr.isatty())
    settings = _settings()
    _or_complain(lambda: uvloop.run(foreground.run(settings, processes=processes, tell=_progress)))


@app.command()
def up(*, processes: Processes = False) -> None:
    """Start Headwater in the background; returns when it answers."""
    settings = _settings()
    url = _or_complain(lambda: background.up(settings, processes=processes, tell=_progress))
    console.print(f"Headwater answers at [bold]{url}/graphql[/bold]")


@app.command()
def down() -> None:
    """Stop Headwater; returns when it is gone."""
    settings = _settings()
    stopped = _or_complain(lambda: background.down(settings, tell=_progress))
    for left in leftovers.sweep():
        _progress(left)
    console.print("stopped" if stopped else f"no Headwater runs on {settings.data}")


@app.command()
def status() -> None:
    """Show what runs; exit code 1 if nothing does."""
    settings = _settings()
    folder = DataFolder(settings.data)
    pid = _or_complain(folder.holder)
    if pid is None:
        console.print(f"no Headwater runs on {folder.path}")
        raise typer.Exit(1)
    found = record.read(folder)
    if found is None:
        console.print(f"Headwater on {folder.path} is starting or stopping (process {pid})")
        raise typer.Exit(1)
    console.print(_table(folder, found))


@app.command()
def logs(
    name: Annotated[
        str, typer.Argument(help="headwater, postgres, nats, or a service run with --processes")
    ] = background.LOG,
    *,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0)] = 100,
    follow: Annotated[bool, typer.Option("-f", "--follow")] = False,
) -> None:
    """Show what Headwater says."""
    path = DataFolder(_settings().data).log(name)

    def show() -> None:
        for line in background.log_lines(path, lines=lines, follow=follow):
            sys.stdout.write(line)

    try:
        _or_complain(show)
    except KeyboardInterrupt:
        raise typer.Exit from None


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def keys(context: typer.Context) -> None:
    """Tenants and API keys, without a key: `keys tenants`, `keys create --tenant ...`."""
    from deploy import keys as desk  # noqa: PLC0415 - imports the gateway

    folder = DataFolder(_settings().data)
    found = record.read(folder)
    if found is None:
        complain(
            EngineError(f"no Headwater runs on {folder.path}; start it (make up), then ask again")
        )
    url = role_url(
        f"postgresql://127.0.0.1:{found.postgres_port}/{DATABASE}",
        role="gateway",
        password=folder.secret("postgres.gateway"),
    )
    access = desk.Access(postgres_url=url, pepper=folder.secret("gateway.key_pepper").encode())
    desk.main(context.args, access)


def _table(folder: DataFolder, found: record.Record) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    headwater = psutil.Process(found.pid)
    age = timedelta(seconds=int(utc_now().timestamp() - headwater.create_time()))
    table.add_row("API", f"{found.url}/graphql")
    table.add_row(
        "services", "a process each" if found.processes else f"all in process {found.pid}"
    )
    table.add_row("up for", str(age))
    table.add_row("memory", f"{_memory_of_services(headwater) >> 20} MiB without the engines")
    table.add_row("PostgreSQL", f"127.0.0.1:{found.postgres_port}")
    table.add_row("NATS", f"127.0.0.1:{found.nats_port}")
    table.add_row("data", str(folder.path))
    table.add_row("stores", found.home)
    table.add_row("logs", str(folder.logs))
    return table


def _memory_of_services(process: psutil.Process) -> int:
    """Resident bytes of a process and its children, without the engines."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            if each.name() in ("postgres", "nats-server"):
                continue
            total += each.memory_info().rss
        except psutil.Error:
            continue
    return total


def _settings() -> LocalSettings:
    try:
        return LocalSettings()
    except ValidationError as error:
        complain(error)


def _progress(line: str) -> None:
    console.print(f"{background.PROGRESS}{line}", markup=False)


def _or_complain(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except EngineError as error:
        complain(error)
