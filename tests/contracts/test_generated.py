"""Every file that code writes for review is written by `make generate` and watched by `make verify`."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
RECIPE = re.search(r"^generate:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
WATCHED = re.search(r"^GENERATED := (.*)$", MAKEFILE, re.M)


def writers() -> list[tuple[str, str]]:
    """The modules of this repository that write a committed file, and the constant of theirs that names it."""
    found = []
    for top in ("libs", "services", "deploy", "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            constants = re.findall(
                r"^ +([A-Z_]*FILE|CONFIGURATION)\.write_text\(", path.read_text(), re.M
            )
            found += [(module, constant) for constant in constants]
    return found


def test_all_files_that_are_generated_are_found() -> None:
    assert WATCHED is not None
    assert len(writers()) == len(WATCHED[1].split())


@pytest.mark.parametrize(("name", "constant"), writers())
def test_the_file_is_written_by_make_generate_and_watched_by_make_verify(
    name: str, constant: str
) -> None:
    assert RECIPE is not None
    assert WATCHED is not None
    file = getattr(import_module(name), constant)

    assert re.search(rf"-m {re.escape(name)}( --write)?$", RECIPE[1], re.M), "not in `generate`"
    assert str(file.relative_to(ROOT)) in WATCHED[1].split()
