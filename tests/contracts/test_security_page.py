"""SECURITY.md names tests that exist, and has one for every promise."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", PAGE)


def test_every_test_that_the_page_names_is_there() -> None:
    missing = [
        f"{path}::{name}"
        for path, name in NAMED
        if not (CHECKOUT / path).is_file()
        or (name and f"def {name}(" not in (CHECKOUT / path).read_text())
    ]

    assert len(NAMED) > 40
    assert missing == []


def test_every_promise_names_its_test() -> None:
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| ") and line != "| promise | shown by |"
    ]

    assert len(rows) > 25
    assert [row for row in rows if "`tests/" not in row.rsplit("|", 2)[1]] == []
