"""How registry and scheduler read a cron expression: as the croniter of Prefect's clients does.

croniter 1.4.1, which comes with Core 1.x, takes a day of month 0 for the 1st when there is a sixth field (seconds).
Newer versions refuse it, so a flow that is valid on its author's machine could not be registered.
"""

import re

_SECONDS_TOO = 6  # fields
_DAY = 2
_FROM_ZERO = re.compile(r"0+(?:-(\d{1,2}))?(?:/(\d{1,2}))?")
_LAST_DAY = 31


def readable(expression: str) -> str:
    """The expression in a form that every version of croniter reads in the same way."""
    fields = expression.split()
    if len(fields) != _SECONDS_TOO:
        return expression
    fields[_DAY] = ",".join(_days(item) for item in fields[_DAY].split(","))
    return " ".join(fields)


def _days(item: str) -> str:
    """`0`, `0-6/2`, `0/5`: the days that are counted from 0, with the 1st in its place."""
    found = _FROM_ZERO.fullmatch(item)
    if found is None:
        return item
    last, step = found.groups()
    if step is not None and int(step) == 0:
        return item
    end = int(last) if last else _LAST_DAY if step else 0
    return ",".join(str(day or 1) for day in range(0, end + 1, int(step or 1)))
