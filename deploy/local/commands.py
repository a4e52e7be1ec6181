"""The commands about a Headwater on this machine; `deploy.command` has them too. Exit codes are in its page."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.output import Json, console, progress, show_json
from deploy.say import complain

if TYPE_CHECKING:
    import psutil
    from rich.table import Table

    from deploy.engines import DataFolder
    from deploy.local.record import Record
    from deploy.local.settings import LocalSettings

app = typer.Typer(
    help="Headwater on this machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_PANEL = "On this machine"

Processes = Annotated[
    bool, typer.Option("--processes", help="One process for each service, as in production.")
]


@app.command(rich_help_panel=_PANEL)
def run(*, processes: Processes = False) -> None:
    """Run Headwater in the foreground until Ctrl-C."""
    import uvloop

    from deploy.local import background, foreground
    from libs.runtime import log

    def tell(line: str) -> None:
        console.print(f"{background.PROGRESS}{line}", markup=False)

    log.configure(json=not sys.stderr.isatty())
    settings = local_settings()
    or_complain(lambda: uvloop.run(foreground.run(settings, processes=processes, tell=tell)))


@app.command(rich_help_panel=_PANEL)
def up(*, processes: Processes = False, as_json: Json = False) -> None:
    """Start Headwater in the background; returns when it answers."""
    from deploy.local import background

    settings = local_settings()
    url = or_complain(lambda: background.up(settings, processes=processes, tell=progress))
    if as_json:
        show_json({"url": url, "graphql": f"{url}/graphql", "data": str(settings.data)})
    else:
        console.print(f"Headwater answers at [bold]{url}/graphql[/bold]")


@app.command(rich_help_panel=_PANEL)
def down(*, as_json: Json = False) -> None:
    """Stop Headwater; returns when it is gone."""
    from deploy.engines import leftovers
    from deploy.local import background

    settings = local_settings()
    stopped = or_complain(lambda: background.down(settings, tell=progress))
    for left in leftovers.sweep():
        progress(left)
    if as_json:
        show_json({"stopped": stopped, "data": str(settings.data)})
    else:
        console.print("stopped" if stopped else f"no Headwater runs on {settings.data}")


@app.command(rich_help_panel=_PANEL)
def status(*, as_json: Json = False) -> None:
    """Show what runs; exit code 1 if nothing does."""
    from deploy.engines import DataFolder
    from deploy.local import record

    folder = DataFolder(local_settings().data)
    pid = or_complain(folder.holder)
    found = record.read(folder) if pid is not None else None
    if found is None:
        state = "stopped" if pid is None else "starting or stopping"
        if as_json:
            show_json({"state": state, "pid": pid, "data": str(folder.path)})
        elif pid is None:
            console.print(f"no Headwater runs on {folder.path}")
        else:
            console.print(f"Headwater on {folder.path} is starting or stopping (process {pid})")
        raise typer.Exit(1)
    if as_json:
        show_json({"state": "running", **asdict(found), "data": str(folder.path)})
    else:
        console.print(_table(folder, found))


@app.command(rich_help_panel=_PANEL)
def logs(
    name: Annotated[
        str, typer.Argument(help="headwater, postgres, nats, or a service run with --processes")
    ] = "headwater",
    *,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0)] = 100,
    follow: Annotated[bool, typer.Option("-f", "--follow")] = False,
) -> None:
    """Show what Headwater says."""
    from deploy.engines import DataFolder
    from deploy.local import background

    path = DataFolder(local_settings().data).log(name)

    def show() -> None:
        for line in background.log_lines(path, lines=lines, follow=follow):
            sys.stdout.write(line)

    try:
        or_complain(show)
    except KeyboardInterrupt:
        raise typer.Exit from None


@app.command(rich_help_panel=_PANEL)
def rotate(*, as_json: Json = False) -> None:
    """Have the passwords of nats-server's users drawn anew at the next start; Headwater must be stopped."""
    from deploy.engines import DataFolder
    from deploy.local import bus

    folder = DataFolder(local_settings().data)

    def draw_anew() -> int:
        folder.claim()
        try:
            return bus.forget(folder)
        finally:
            folder.release()

    forgotten = or_complain(draw_anew)
    if as_json:
        show_json({"forgotten": forgotten, "data": str(folder.path)})
    else:
        console.print(f"{forgotten} secrets of nats-server are drawn anew at the next start")


def local_settings() -> "LocalSettings":
    """The settings of the environment; ends the command with a sentence if one is wrong."""
    from pydantic import ValidationError

    from deploy.local.settings import LocalSettings

    try:
        return LocalSettings()
    except ValidationError as error:
        complain(error)


def or_complain(work: Callable[[], Any]) -> Any:
    """Do the work; ends the command with a sentence if it cannot be done."""
    from deploy.engines import EngineError

    try:
        return work()
    except EngineError as error:
        complain(error)


def _table(folder: "DataFolder", found: "Record") -> "Table":
    from datetime import timedelta

    import psutil
    from rich.table import Table

    from libs.runtime.clock import utc_now

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


def _memory_of_services(process: "psutil.Process") -> int:
    """Resident bytes of a process and its children, without the engines."""
    import psutil

    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            if each.name() in ("postgres", "nats-server"):
                continue
            total += each.memory_info().rss
        except psutil.Error:
            continue
    return total
