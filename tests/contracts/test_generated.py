"""Every file that code writes for review is written by `make generate` and watched by `make verify`."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
RECIPE = re.search(r"^generate:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
WATCHED = re.search(r"^GENERATED := (.*)$", MAKEFILE, re.M)


def writers() -> list[str]:
    """The modules of this repository that write a committed file which they name as a constant of theirs."""
    found = []
    for top in ("libs", "services", "deploy", "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if re.search(r"^ +(FILE|CONFIGURATION)\.write_text\(", path.read_text(), re.M):
                found.append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


@pytest.mark.parametrize("name", writers())
def test_the_file_is_written_by_make_generate_and_watched_by_make_verify(name: str) -> None:
    assert RECIPE is not None
    assert WATCHED is not None
    module = import_module(name)
    file = getattr(module, "FILE", None) or module.CONFIGURATION

    assert re.search(rf"-m {re.escape(name)}( --write)?$", RECIPE[1], re.M), "not in `generate`"
    assert str(file.relative_to(ROOT)) in WATCHED[1].split()
