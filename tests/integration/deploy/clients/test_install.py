"""Environments of real clients, made from the package index."""

import subprocess
from pathlib import Path

import pytest

from deploy.clients import install
from deploy.clients.install import Environment

pytestmark = [pytest.mark.client, pytest.mark.slow]


@pytest.fixture(scope="module")
def news() -> list[str]:
    return []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, news: list[str]) -> Environment:
    """The oldest client there is a recipe for, the one that takes most to live today."""
    return install.ensure("0.8.1", tmp_path_factory.mktemp("clients") / "env", report=news.append)


def test_the_oldest_client_runs_once_it_is_installed(made: Environment, news: list[str]) -> None:
    said = subprocess.run([made.prefect, "version"], capture_output=True, text=True, check=True)  # noqa: S603 - the client just installed

    assert said.stdout.strip() == "0.8.1"
    assert "package 47 of 47: zipp==3.18.1" in news


def test_an_environment_that_is_there_is_found_without_a_word(made: Environment) -> None:
    news: list[str] = []

    assert install.ensure("0.8.1", made.root, report=news.append) == made
    assert news == []


def test_an_environment_that_already_holds_the_packages_is_only_stamped(made: Environment) -> None:
    (made.root / install.STAMP).unlink()
    news: list[str] = []

    install.ensure("0.8.1", made.root, report=news.append)

    assert news == []
    assert (made.root / install.STAMP).exists()


def test_an_interrupted_installation_is_made_whole_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "env"
    (root / "lib").mkdir(parents=True)
    (root / "lib" / "half").write_text("a wheel")
    (root / install.STAMP).write_text(install.UNFINISHED)

    made = install.ensure("0.8.1", root, report=lambda _line: None)

    assert made.python.exists()
    assert not (root / "lib" / "half").exists()
