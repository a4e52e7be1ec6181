"""The statements in files: each names its race, and none reaches into another tenant."""

from pathlib import Path

import pytest

import services.registry

FILES = sorted((Path(services.registry.__path__[0]) / "queries").glob("*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_statement_says_what_it_does_and_names_its_race(path: Path) -> None:
    text = path.read_text()

    assert text.startswith("-- ")
    head = " ".join(line.removeprefix("-- ") for line in text.splitlines() if line.startswith("--"))
    assert "The race: " in head


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_statement_names_the_tenant(path: Path) -> None:
    code = [line for line in path.read_text().splitlines() if not line.startswith("--")]

    assert "tenant_id" in "\n".join(code)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_statement_is_used(path: Path) -> None:
    stores = Path(services.registry.__path__[0]).glob("*store.py")

    assert any(f'"{path.stem}"' in store.read_text() for store in stores)
