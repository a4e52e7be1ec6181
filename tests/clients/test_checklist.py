"""The checklist is whole, and every test that it names exists."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.clients.checklist import COUNT, POINTS
from tests.clients.matrix import SCENARIOS

ROOT = Path(__file__).parents[2]


def test_every_point_of_the_checklist_has_tests() -> None:
    assert sorted(POINTS) == [*range(1, COUNT + 1)]
    assert all(point.tests for point in POINTS.values())


@pytest.mark.parametrize("number", POINTS)
def test_the_tests_that_a_point_names_exist(number: int) -> None:
    missing = [named for named in POINTS[number].tests if not _exists(named)]

    assert missing == []


def _exists(named: str) -> bool:
    if scenario := named.removeprefix("matrix:") if named.startswith("matrix:") else None:
        return scenario in {one.name for one in SCENARIOS}
    path, _, test = named.partition("::")
    return test in _tests_of(path)


@cache
def _tests_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
