"""Which output of a process becomes log lines of its run.

Prefect prints its own log records and also sends them to the API. Those are left out here: each ends with
`END_OF_RECORD` and may have several lines. The rest would be lost otherwise: prints of tasks, warnings, tracebacks of a
dying interpreter.
"""

import re
from dataclasses import dataclass

from .environment import END_OF_RECORD

CHUNK = 256 << 10
"""Bytes read at once, and so the size of a batch of log lines."""
LINE = 32 << 10
"""Characters kept of one line."""

_RECORD = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4}\] [A-Z]+ - \S+ \| ")


@dataclass(slots=True)
class Sieve:
    """Keeps the lines that Prefect does not send itself. Remembers whether it is within one of Prefect's records."""

    in_record: bool = False

    def keep(self, text: str) -> list[str]:
        """The lines of `text` to forward."""
        lines = (line.rstrip("\r") for line in text.removesuffix("\n").split("\n"))
        return [line[:LINE] for line in lines if self._is_kept(line)]

    def _is_kept(self, line: str) -> bool:
        if self.in_record or _RECORD.match(line):
            self.in_record = END_OF_RECORD not in line
            return False
        return bool(line.strip())


def whole_lines(data: bytes, *, is_last: bool) -> bytes:
    """The part of `data` that ends with a line's end; all of it when nothing will follow or the line has no end."""
    end = data.rfind(b"\n") + 1
    return data if is_last or (not end and len(data) >= CHUNK) else data[:end]
