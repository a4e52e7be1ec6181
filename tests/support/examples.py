"""How many random examples a test draws.

Few in the suite, which is run often and draws others each time; `HEADWATER_TEST_EXAMPLES=20` draws twenty times as
many, for a night or for whoever changes what is tested.
"""

import os

_TIMES = float(os.environ.get("HEADWATER_TEST_EXAMPLES", "1"))


def examples(count: int) -> int:
    """So many, or as many times more as the environment says."""
    return max(1, round(count * _TIMES))
