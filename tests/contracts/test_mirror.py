"""The tests of a package are found where the package is: `tests/unit/gateway/reads` tests `services/gateway/reads`."""

from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
ROOTS = ("services", "libs", ".", "tests")
ACROSS = {"tests/integration/safeguards"}
"""Folders of tests about several services at once."""


def source_of(folder: Path) -> Path | None:
    """The package that a folder of tests is about: `tests/<kind>/<package>`, where the root's name is left out."""
    inner = folder.relative_to(CHECKOUT / "tests").parts[1:]
    found = [CHECKOUT.joinpath(root, *inner) for root in ROOTS]
    return next((path for path in found if path.is_dir()), None)


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_each_folder_of_tests_is_named_as_what_it_tests(kind: str) -> None:
    folders = {path.parent for path in (CHECKOUT / "tests" / kind).rglob("test_*.py")}
    strange = [
        name
        for folder in folders
        if (name := str(folder.relative_to(CHECKOUT))) not in ACROSS and source_of(folder) is None
    ]

    assert len(folders) > 5
    assert strange == []


def test_a_folder_of_no_package_is_noticed() -> None:
    assert source_of(CHECKOUT / "tests/unit/gateway/reads") == CHECKOUT / "services/gateway/reads"
    assert source_of(CHECKOUT / "tests/unit/nowhere") is None
