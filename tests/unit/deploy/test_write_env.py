"""`make env`: random secrets, for their owner's eyes, never drawn twice."""

import stat
from pathlib import Path

import pytest

from deploy.containers.write_env import NAMES, completed, write
from deploy.nats_users import users
from libs.schema.roles import ROLE_PREFIX, ROLES
from services.gateway.settings import PEPPER_BYTES


def values(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_every_secret_is_long_and_unlike_the_others() -> None:
    found = values(completed(""))

    assert set(found) == set(NAMES)
    assert len(set(found.values())) == len(NAMES)
    assert min(map(len, found.values())) >= max(PEPPER_BYTES, 48)


def test_every_role_and_every_nats_user_has_one() -> None:
    roles = {
        f"HEADWATER_POSTGRES_{r.name.removeprefix(ROLE_PREFIX).upper()}_PASSWORD" for r in ROLES
    }
    nats = {user.password_variable for user in users()}

    assert roles | nats <= set(NAMES)


def test_what_is_there_stays() -> None:
    present = "HEADWATER_KEY_PEPPER=mine\nHEADWATER_PORT=80"

    text = completed(present)

    assert text.startswith(present + "\n")
    assert text.count("HEADWATER_KEY_PEPPER=") == 1
    assert completed(text) == text


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"

    assert write(path) is True

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert write(path) is False
    assert [p.name for p in tmp_path.iterdir()] == [".env"]


def test_a_file_that_others_could_read_is_closed_when_it_is_completed(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("HEADWATER_PORT=80\n")
    path.chmod(0o644)

    write(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", NAMES)
def test_compose_has_a_use_and_no_default_for_it(name: str) -> None:
    compose = (Path(__file__).parents[3] / "docker-compose.yml").read_text()
    optional = name == "HEADWATER_BOOTSTRAP_KEY"

    assert f"${{{name}:-}}" in compose if optional else f"${{{name}:?run make env}}" in compose
