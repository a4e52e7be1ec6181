"""Loops: an event carries the hooks that led to it. Actions on runs stop at a depth; what only tells people goes on."""

from collections.abc import Sequence
from uuid import UUID

from libs.contracts.automations import RUN_ACTIONS

MOST_CAUSES = 3
"""Automations that may follow from each other."""
KEY_PREFIX = "automation:"
"""Idempotency keys of runs that an automation created: the prefix, and the delivery's `dedup`."""


def is_loop(chain: Sequence[str], action_type: str) -> bool:
    """Whether an action would go on a chain that is long enough."""
    return action_type in RUN_ACTIONS and len(chain) >= MOST_CAUSES


def sentence(chain: Sequence[str]) -> str:
    """Why the action was not done."""
    named = ", ".join(dict.fromkeys(chain))
    return (
        f"Not done: {len(chain)} automations in a row led to this event (hooks {named}), and {MOST_CAUSES} is the most."
        " Let the hook wait for another state or another flow."
    )


def continued(chain: Sequence[str], hook_id: UUID | None) -> list[str]:
    """The chain of what an action of this hook leads to."""
    return list(chain) if hook_id is None else [*chain, str(hook_id)]
