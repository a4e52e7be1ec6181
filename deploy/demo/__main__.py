"""`python -m deploy.demo`: run the demo, then stay up, or end with DEMO_EXIT=1."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from rich.console import Console
from rich.markup import escape

from deploy.demo.failure import DemoFailedError
from deploy.demo.narrator import Narrator
from deploy.demo.story import Settings, whole_story

LOG_WIDTH = 120  # the width for a log file
INTERRUPTED = 130  # what a shell reports after Ctrl-C


def main() -> int:
    # Also Ctrl-C: Python leaves it ignored where a script has started us in the background.
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = LOG_WIDTH
    stay = os.environ.get("DEMO_EXIT", "") in ("", "0")
    has_finished = False
    try:
        settings = Settings.from_environment()
        with whole_story(Narrator(console), settings) as page:
            has_finished = True
            console.print(_where_it_is(settings.url), highlight=False, soft_wrap=True)
            if stay:
                console.print("\nUp until Ctrl-C; the schedule goes on every minute.")
            # The last word: what to look at.
            console.print(f"\n[bold]See the run:[/bold] {page}", highlight=False, soft_wrap=True)
            if stay:
                signal.pause()
    except DemoFailedError as failure:
        console.print(
            f"\n[red bold]The demo failed:[/red bold] {escape(str(failure))}", highlight=False
        )
        return 1
    except KeyboardInterrupt:
        # Ctrl-C is the normal end of a finished demo.
        return 0 if has_finished else INTERRUPTED
    return 0


def _where_it_is(url: str) -> str:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return f"""
[bold]The GraphQL API is at[/bold] {url}/graphql

  curl {url}/graphql -H 'Content-Type: application/json' \\
    -d '{{"query": "{{ flow_run(limit: 5, order_by: {{created: desc}}) {{ name state }} }}"}}'

[bold]Point your own client (Prefect 0.10 to 1.4) at it:[/bold]

  export PREFECT__BACKEND=server \\
    PREFECT__SERVER__HOST=http://{host} PREFECT__SERVER__PORT={port}"""


def _end(_signal: int, _frame: FrameType | None) -> None:
    # As Ctrl-C: the story's exit stack stops what was started.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
