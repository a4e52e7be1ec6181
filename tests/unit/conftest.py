"""Rules are quick: one that hangs is cut off long before a test that starts engines would be."""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent
SECONDS = 300
"""The slowest took 45 where six others wanted the same core."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test below this folder its limit, but for those that bear one of their own."""
    for item in items:
        if _HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))
