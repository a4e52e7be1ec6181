"""`headwater import`: the commands. Exit codes: 0 done, 1 not done or not equal, 2 wrong command line."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.output import Json, console, errors, show_json, show_rows
from deploy.say import complain

if TYPE_CHECKING:
    from deploy.moving_in.moving import Outcome, Tell

app = typer.Typer(help="Import a Prefect Server, with its ids and history.", no_args_is_help=True)

Peer = Annotated[
    str,
    typer.Argument(help="The Server's database: postgres://user:password@host:5432/prefect_server"),
]
Into = Annotated[
    str | None,
    typer.Option(
        envvar="HEADWATER_POSTGRES_URL",
        help="Headwater's database, as its owner.",
        show_default="that of the data folder",
    ),
]


@app.command()
def check(peer: Peer, *, as_json: Json = False) -> None:
    """Say what there is, and what of it is odd. Changes nothing."""
    from deploy.moving_in import checking

    found = _run(checking.check(peer))
    if as_json:
        show_json(asdict(found))
        return
    console.print(f"{found.release}, runs from {found.oldest} to {found.newest}", markup=False)
    show_rows(found.tables, ("table", "rows", "bytes"))
    for what, rows in (
        ("Odd rows", [{"what": k, "rows": n} for k, n in found.quirks.items() if n]),
        ("Runs that have not finished", found.live),
        ("Active schedules that cannot be read", found.schedules),
    ):
        console.print(f"\n{what}:")
        show_rows(rows, tuple(rows[0]) if rows else ())


@app.command()
def copy(peer: Peer, *, into: Into = None, as_json: Json = False) -> None:
    """Copy flows and finished runs, newest first. The Server may be in use; run it again after an interruption."""
    from deploy.moving_in import moving

    _move(moving.copy, peer, into, as_json=as_json)


@app.command()
def follow(peer: Peer, *, into: Into = None, as_json: Json = False) -> None:
    """Bring what has changed since. Repeat it until a round takes seconds."""
    from deploy.moving_in import moving

    _move(moving.follow, peer, into, as_json=as_json)


@app.command()
def finish(
    peer: Peer,
    *,
    into: Into = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Take the live runs and switch the schedules on, once. The Server must be stopped."""
    if not yes:
        typer.confirm(
            "Are the Server's services (towel, apollo, graphql) stopped? Until a client has written to Headwater you"
            " can go back; after that the histories differ for good. Finish?",
            abort=True,
            err=True,
        )
    from deploy.moving_in import moving

    _move(moving.finish, peer, into, as_json=as_json)


@app.command()
def verify(peer: Peer, *, into: Into = None, as_json: Json = False) -> None:
    """Compare counts and digests of each table on both sides; exit code 1 if any differ."""
    from deploy.moving_in import verifying

    rows = [asdict(each) for each in _run(verifying.verify(peer, into or _here()))]
    if as_json:
        show_json(rows)
    else:
        shown = [row | {"equal": "equal" if row["equal"] else "DIFFERENT"} for row in rows]
        show_rows(shown, ("table", "peer", "here", "left_out", "equal"))
    if not all(row["equal"] for row in rows):
        raise typer.Exit(1)


def _move(
    work: Callable[..., Coroutine[Any, Any, "Outcome"]],
    peer: str,
    into: str | None,
    *,
    as_json: bool,
) -> None:
    url = into or _here()
    with _bar() as tell:
        done = _run(work(peer, url, tell=tell))
    if as_json:
        show_json(asdict(done))
        return
    console.print(f"{done.runs} runs copied, {done.deleted} deleted")
    show_rows(
        [{"left out so far": why, "rows": n} for why, n in done.left_out.items()],
        ("left out so far", "rows"),
    )


@contextmanager
def _bar() -> "Iterator[Tell]":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("runs", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _here() -> str:
    from deploy.command.owner import owner_url

    return owner_url()


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    import asyncpg

    from deploy.moving_in.revisions import UnknownPeerError
    from deploy.moving_in.target import MovingError

    try:
        return asyncio.run(work)
    except (UnknownPeerError, MovingError, OSError, ValueError) as error:
        complain(error)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        complain(MovingError(f"PostgreSQL: {error}"))
