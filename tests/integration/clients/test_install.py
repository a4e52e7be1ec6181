"""Environments of real clients, made from the package index."""

import subprocess
from pathlib import Path

import pytest

from deploy.clients import install

pytestmark = [pytest.mark.client, pytest.mark.slow]


def test_the_oldest_client_is_installed_once_and_then_found(tmp_path: Path) -> None:
    news: list[str] = []
    made = install.ensure("0.8.1", tmp_path / "env", report=news.append)
    told = len(news)
    found = install.ensure("0.8.1", tmp_path / "env", report=news.append)

    assert "package 47 of 47: zipp==3.18.1" in news
    assert found == made
    assert len(news) == told
    said = subprocess.run([made.prefect, "version"], capture_output=True, text=True, check=True)  # noqa: S603 - the client just installed
    assert said.stdout.strip() == "0.8.1"


def test_an_interrupted_installation_is_made_whole_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "env"
    (root / "lib").mkdir(parents=True)
    (root / "lib" / "half").write_text("a wheel")
    (root / install.STAMP).write_text(install.UNFINISHED)

    made = install.ensure("0.8.1", root, report=lambda _line: None)

    assert made.python.exists()
    assert not (root / "lib" / "half").exists()


def test_an_environment_that_already_holds_the_packages_is_only_stamped(tmp_path: Path) -> None:
    made = install.ensure("0.8.1", tmp_path / "env", report=lambda _line: None)
    (made.root / install.STAMP).unlink()
    news: list[str] = []

    install.ensure("0.8.1", made.root, report=news.append)

    assert news == []
    assert (made.root / install.STAMP).exists()
