"""How the commands show their results: tables for people, one JSON document for scripts."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="One JSON document, for scripts.")]

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: Any) -> None:
    """Write the document; ids and times become text."""
    sys.stdout.write(json.dumps(value, default=str, indent=2) + "\n")


def show_rows(rows: Sequence[dict[str, Any]], columns: Iterable[str]) -> None:
    """Write a table, or that there is nothing."""
    if not rows:
        console.print("none")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    *short, last = columns
    for column in short:
        table.add_column(column.replace("_", " "), no_wrap=True)
    table.add_column(last.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if row[c] is None else str(row[c]) for c in (*short, last)))
    console.print(table)


def progress(line: str) -> None:
    """Say on standard error what is being done."""
    errors.print(f"· {line}", markup=False)


@contextmanager
def progress_bar(what: str, *, of_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error. What it gives is called with what is done and with all, in bytes or in number."""
    # Imported here: only long work shows a bar.
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    count = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count)
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def shown(done: int, whole: int) -> None:
            bar.update(task, completed=done, total=whole or None)

        yield shown
