"""Which runs an agent may see: a run's labels are a subset of the agent's; a run without labels goes only to an agent
without (gateway/reference/runs.md).

Both sides are enumerable. A few agent labels have few subsets, and each is one descent of the queue's index; an agent
with many labels is served from the label sets of waiting runs. In both cases the cost does not depend on the runs that
wait for other agents.
"""

from datetime import datetime, timedelta
from itertools import combinations

from libs.contracts.states import SCHEDULED_FAMILY, State

MAX_ENUMERATED_LABELS = 7
"""127 subsets, some 2 ms; with more, the label sets of waiting runs are walked instead."""

SOON = timedelta(seconds=10)
"""How far ahead agents ask: for what is due in the next ten seconds."""


NOT_STARTED = SCHEDULED_FAMILY - {State.QUEUED}
"""In these states a run has not begun, and an agent must start it; the process of a Queued one waits for a slot."""


def is_soon(timestamp: datetime | None, *, now: datetime) -> bool:
    """Whether agents may get a run that starts then."""
    return timestamp is not None and timestamp <= now + SOON


def servable_label_sets(agent_labels: list[str]) -> list[list[str]] | None:
    """Every label set that a run for this agent may have, or None when there are too many to list."""
    if not agent_labels:
        return [[]]
    if len(agent_labels) > MAX_ENUMERATED_LABELS:
        return None
    return [
        list(subset)
        for size in range(1, len(agent_labels) + 1)
        for subset in combinations(agent_labels, size)
    ]
