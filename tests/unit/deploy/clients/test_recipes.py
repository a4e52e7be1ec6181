"""The recipes of client environments: exact, complete, and free of anyone's package index."""

import re
from pathlib import Path

import pytest

from deploy.clients import install
from deploy.clients.install import ClientInstallError, Environment, Recipe
from deploy.clients.surroundings import variables

ROOT = Path("/somewhere/prefect")


def test_there_is_a_recipe_for_each_client_generation_newest_first() -> None:
    assert install.versions() == [
        "1.4.1",
        "0.15.13",
        "0.14.22",
        "0.13.19",
        "0.12.6",
        "0.9.8",
        "0.8.1",
    ]


@pytest.mark.parametrize("version", install.versions())
def test_a_recipe_pins_its_client_and_what_keeps_it_alive(version: str) -> None:
    pins = Recipe(version).pins

    assert pins["prefect"] == version
    assert pins["urllib3"] == "1.26.18"
    assert pins["pendulum"] == "2.1.2"
    assert int(pins["marshmallow"].split(".")[0]) == 3


@pytest.mark.parametrize("version", install.versions())
def test_every_package_of_a_recipe_is_frozen_by_hash_and_from_any_index(version: str) -> None:
    text = Recipe(version).requirements.read_text()
    entries = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())

    assert len(entries) == len(Recipe(version).pins)
    assert all(re.match(r"[\w.-]+==\S+ \\\n    --hash=sha256:", entry) for entry in entries)
    assert "://" not in text


def test_only_clients_that_read_abcs_from_collections_get_the_shim() -> None:
    shimmed = [version for version in install.versions() if Recipe(version).shims]

    assert shimmed == ["0.14.22", "0.13.19", "0.12.6", "0.9.8", "0.8.1"]


def test_an_unknown_version_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ClientInstallError, match=r"no recipe for prefect 2.0; there are 1.4.1, "):
        install.ensure("2.0", tmp_path / "env", report=lambda _line: None)


def test_a_folder_that_the_installer_did_not_make_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")

    with pytest.raises(ClientInstallError, match="not a client environment made by this"):
        install.ensure("1.4.1", tmp_path, report=lambda _line: None)

    assert precious.read_text() == "years of work"


def test_the_cache_can_be_put_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWATER_CLIENTS", str(tmp_path))

    assert install.cache() == tmp_path


def test_a_client_process_sees_our_address_and_nothing_of_the_users_own_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFECT__CLOUD__API_KEY", "the user's own")
    monkeypatch.setenv("PYTHONPATH", "/our/packages")

    seen = variables(Environment(ROOT, "1.4.1"), url="http://127.0.0.1:4321", home=tmp_path)

    assert seen["PREFECT__BACKEND"] == "server"
    assert seen["PREFECT__SERVER__HOST"] == "http://127.0.0.1"
    assert seen["PREFECT__SERVER__PORT"] == "4321"
    assert seen["PREFECT__HOME_DIR"] == str(tmp_path)
    assert seen["PREFECT__USER_CONFIG_PATH"] == str(tmp_path / "config.toml")
    assert seen["PATH"].startswith("/somewhere/prefect/bin:")
    assert "PREFECT__CLOUD__API_KEY" not in seen
    assert "PYTHONPATH" not in seen


def test_a_client_that_knows_no_server_is_pointed_at_us_as_its_cloud(tmp_path: Path) -> None:
    seen = variables(Environment(ROOT, "0.8.1"), url="http://127.0.0.1:4321", home=tmp_path)

    assert seen["PREFECT__CLOUD__API"] == "http://127.0.0.1:4321"
    assert seen["PREFECT__CLOUD__AGENT__AUTH_TOKEN"]
    assert seen["PREFECT__BACKEND"] == "cloud"
