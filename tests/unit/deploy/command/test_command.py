"""The command line as a whole: its help, its version, its mistakes."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from deploy.command.app import app
from libs.contracts.version import VERSION

CHECKOUT = Path(__file__).parents[4]
OF_HELP = 0.6
"""Seconds of CPU at most. It takes 0.2 on an idle machine, and 0.8 with what the slowest command imports."""
HEAVY = {"asyncpg", "sqlalchemy", "strawberry", "pydantic", "alembic", "nats", "fastapi", "psutil"}


def every(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from every(inner, *path, name)


def words(*line: str, **variables: str) -> tuple[int, str]:
    ran = CliRunner().invoke(app, list(line), env=variables)
    return ran.exit_code, ran.output


def test_every_command_says_what_it_does_in_a_sentence() -> None:
    commands = dict(every(get_command(app)))

    assert {("up",), ("keys", "create"), ("tenants", "list"), ("automations", "test")} <= set(
        commands
    )
    silent = [path for path, command in commands.items() if not (command.help or "").endswith(".")]
    assert silent == []


def test_every_command_has_help() -> None:
    for path, _ in every(get_command(app)):
        code, said = words(*path, "--help")

        assert code == 0, path
        assert "Usage: headwater" in said or "Usage: " in said, path


def test_the_version_is_that_of_the_release() -> None:
    assert words("--version") == (0, f"headwater {VERSION}\n")


def test_a_wrong_command_line_is_exit_code_2() -> None:
    assert words("nonsense")[0] == 2
    assert words("keys", "create")[0] == 2
    assert words("keys", "revoke", "no-id")[0] == 2


def test_an_unknown_role_is_refused_with_those_there_are() -> None:
    code, said = words("keys", "create", "--name", "mine", "--role", "king")

    assert code == 2
    assert "--role" in said
    assert "tenant_admin" in said


def test_what_stands_still_is_told_to_scripts_and_is_exit_code_1(tmp_path: Path) -> None:
    code, said = words("status", "--json", HEADWATER_DATA=str(tmp_path))

    assert code == 1
    assert json.loads(said) == {"state": "stopped", "pid": None, "data": str(tmp_path)}


def test_a_command_that_needs_a_running_headwater_says_how_to_start_it(tmp_path: Path) -> None:
    for line in (("keys", "list"), ("tenants",), ("check",), ("automations", "test", "a")):
        code, said = words(*line, HEADWATER_DATA=str(tmp_path))

        assert code == 1, line
        assert f"headwater: no Headwater runs on {tmp_path}" in said, line
        assert "headwater up" in said, line


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    code, said = words("up", HEADWATER_PORT="high", HEADWATER_DATA=str(tmp_path))

    assert code == 1
    assert said.startswith("headwater: HEADWATER_PORT: ")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from deploy.command.app import app; from typer.testing import CliRunner;"
        "ran = CliRunner().invoke(app, ['--help']); print(ran.exit_code, *sys.modules)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime

    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    code, *modules = ran.stdout.split()
    assert code == "0"
    assert HEAVY.isdisjoint(modules)
    assert took < OF_HELP


@pytest.mark.parametrize(
    "file",
    [
        "libs/agent/__init__.py",
        "deploy/helm/headwater/Chart.yaml",
        "services/dashboard/package.json",
        "CHANGELOG.md",
    ],
)
def test_a_release_changes_all_of_it_together(file: str) -> None:
    assert VERSION in (CHECKOUT / file).read_text()
