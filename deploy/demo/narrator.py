"""Progress for a person: one line for each step, with a spinner while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

Tell = Callable[[str], None]

# A log file does not need all of pip's output; a person wants to see progress.
QUIET = 5.0


class Narrator:
    """Steps with a spinner on a terminal, and plain lines anywhere else."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Tell]:
        """Show a step while it runs, and its result. The body may report progress with `tell`."""
        began = time.monotonic()
        try:
            if self.console.is_terminal:
                # One line: a spinner that wraps leaves its first half behind.
                room = max(0, self.console.width - len(title) - 6)
                with self.console.status(escape(title), spinner="dots") as status:
                    yield lambda news: status.update(
                        f"{escape(title)}  [dim]{escape(news[:room])}[/dim]"
                    )
            else:
                self._line("…", title)
                yield self._throttled()
        except BaseException:
            self._line("[red]✗[/red]", title, seconds=time.monotonic() - began)
            raise
        self._line("[green]✓[/green]", title, seconds=time.monotonic() - began)

    def note(self, text: str) -> None:
        """A remark under the step before it."""
        self.console.print(f"  [dim]{escape(text)}[/dim]", highlight=False, soft_wrap=True)

    def _line(self, mark: str, title: str, *, seconds: float | None = None) -> None:
        took = "" if seconds is None else f"  [dim]{seconds:.1f} s[/dim]"
        self.console.print(f"{mark} {escape(title)}{took}", highlight=False, soft_wrap=True)

    def _throttled(self) -> Tell:
        last = time.monotonic()

        def tell(news: str) -> None:
            nonlocal last
            if time.monotonic() - last >= QUIET:
                last = time.monotonic()
                self.note(news)

        return tell
