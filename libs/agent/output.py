"""Which output of a process becomes log lines of its run.

Prefect prints its own log records and also sends them to the API. Those are left out here: each ends with
`END_OF_RECORD` and may have several lines. The rest would be lost otherwise: prints of tasks, warnings, tracebacks of a
dying interpreter.

A process that prints the same again and again (Prefect's look for a cancellation does, when its key was revoked: half a
million lines in five minutes) is folded, and one that prints without end is bounded (`Flood`).
"""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from .environment import END_OF_RECORD

CHUNK = 256 << 10
"""Bytes read at once, and so the size of a batch of log lines."""
LINE = 32 << 10
"""Characters kept of one line."""

MINUTE = 60.0
LINES_PER_MINUTE = 6_000
"""Lines of one run that are forwarded in a minute; the rest is counted."""
REPEATS_PER_MINUTE = 100
"""How often the same line is forwarded in a minute; the rest is counted."""
_DISTINCT = 1_000  # lines whose repetitions are counted in a minute
_NOTICES = 10  # lines of which a minute's notice says how often they came
_SHOWN = 200  # characters of a line in a notice

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


@dataclass(slots=True)
class Flood:
    """Bounds what a run prints in a minute, and says at its end what was left out."""

    began: float | None = None
    """The loop's time at which the present minute began."""
    kept: int = 0
    left_out: int = 0
    seen: "Counter[str]" = field(default_factory=Counter)

    def copy(self) -> "Flood":
        """One that changes by itself: what could not be sent is read again."""
        return replace(self, seen=self.seen.copy())

    def pass_on(self, lines: list[str], *, now: float) -> list[str]:
        """The lines to forward, after the notices of a minute that is over."""
        passed = self.end() if self.is_over(now=now) else []
        if self.began is None and lines:
            self.began = now
        for line in lines:
            if self.kept >= LINES_PER_MINUTE:
                self.left_out += 1
                continue
            if line in self.seen or len(self.seen) < _DISTINCT:
                self.seen[line] += 1
                if self.seen[line] > REPEATS_PER_MINUTE:
                    continue
            self.kept += 1
            passed.append(line)
        return passed

    def is_over(self, *, now: float) -> bool:
        """Whether the minute is over."""
        return self.began is not None and now - self.began >= MINUTE

    def end(self) -> list[str]:
        """The notices of the minute so far; a new one begins with the next line."""
        folded = [
            f"This line came {count - REPEATS_PER_MINUTE:,} more times within a minute:"
            f" {line[:_SHOWN]}"
            for line, count in self.seen.most_common(_NOTICES)
            if count > REPEATS_PER_MINUTE
        ]
        if self.left_out:
            folded.append(
                f"{self.left_out:,} lines were left out: a run may print"
                f" {LINES_PER_MINUTE:,} lines in a minute."
            )
        self.began, self.kept, self.left_out, self.seen = None, 0, 0, Counter()
        return folded


def whole_lines(data: bytes, *, is_last: bool) -> bytes:
    """The part of `data` that ends with a line's end; all of it when nothing will follow or the line has no end."""
    end = data.rfind(b"\n") + 1
    return data if is_last or (not end and len(data) >= CHUNK) else data[:end]
