"""How many random examples a test draws, and whether they are others each time.

Few in the suite, and the same ones each time: what fails in it fails again. `HEADWATER_TEST_EXAMPLES=20` draws twenty
times as many, others each time, for a night (`make test-fuzz`) or for whoever changes what is tested.
"""

import os

_TIMES = float(os.environ.get("HEADWATER_TEST_EXAMPLES", "1"))
ARE_OTHERS = "HEADWATER_TEST_EXAMPLES" in os.environ
"""Whether each run draws others."""


def examples(count: int) -> int:
    """So many, or as many times more as the environment says."""
    return max(1, round(count * _TIMES))
