"""Every generation of Prefect Core, unmodified, in each of its modes, through every scenario."""

from __future__ import annotations

import pytest

from tests.clients import scenarios
from tests.clients.matrix import CELLS, IN_SUITE, SCENARIOS, Cell, Scenario
from tests.clients.story import Fleet

pytestmark = [pytest.mark.client, pytest.mark.slow, pytest.mark.timeout(900)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The cells of the chosen extent, each with what it has and what it lacks."""
    whole = metafunc.config.getoption("clients") == "whole"
    chosen = [
        (cell, scenario)
        for cell in (CELLS if whole else IN_SUITE)
        for scenario in SCENARIOS
        if whole or (scenario.in_suite and scenario.absence(cell) is None)
    ]
    metafunc.parametrize(
        ("cell", "scenario"),
        chosen,
        ids=[f"{cell.name}-{scenario.name}" for cell, scenario in chosen],
    )


async def test_a_real_client_of_that_year(fleet: Fleet, cell: Cell, scenario: Scenario) -> None:
    if absence := scenario.absence(cell):
        pytest.skip(f"{cell.name} has no {scenario.name}: {absence}")

    await getattr(scenarios, scenario.name)(await fleet.story(cell))
