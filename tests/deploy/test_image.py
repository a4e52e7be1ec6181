"""The image: small, not root, nothing writable, and clear about what it cannot run."""

import json

import pytest

from deploy.entrypoint import JOBS
from libs.contracts.services import SERVICES
from tests.offline import Docker
from tests.offline.image import LIMIT_MB, size_mb
from tests.support.containers import tell

pytestmark = [pytest.mark.containers, pytest.mark.slow]

LOCKED = ("--rm", "--read-only", "--cap-drop=ALL", "--network=none")


def test_it_is_small(docker: Docker, image: str) -> None:
    tell(docker.run("history", "--format", "{{.Size}}\t{{.CreatedBy}}", image))

    size = size_mb(docker, image)

    tell(f"{image}: {size:.0f} MB")
    assert size < LIMIT_MB


def test_it_has_no_root_and_an_init(docker: Docker, image: str) -> None:
    [config] = json.loads(docker.run("image", "inspect", "--format", "[{{json .Config}}]", image))

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"][0] == "tini"
    assert config["Healthcheck"]["Test"][-1] == "ready"


def test_it_holds_no_engine_no_pip_and_no_tests(docker: Docker, image: str) -> None:
    names = ("nats-server*", "pixeltable*", "tests", "pip", ".env*")
    find = "find /opt/headwater -name " + " -o -name ".join(f"'{name}'" for name in names)

    found = docker.run("run", *LOCKED, "--entrypoint", "sh", image, "-c", find)

    assert found.split() == []


def test_nothing_of_it_can_be_changed_by_its_user(docker: Docker, image: str) -> None:
    find = "find / -xdev -writable -type f 2>/dev/null | grep -v -e ^/proc -e ^/dev"

    found = docker.run("run", "--rm", "--entrypoint", "sh", image, "-c", find, check=False)

    assert found.split() == []


@pytest.mark.parametrize("name", [*SERVICES, *JOBS])
def test_what_it_can_run_starts_and_misses_its_settings(
    docker: Docker, image: str, name: str
) -> None:
    said = docker.run("run", *LOCKED, image, name, check=False)

    assert "ModuleNotFoundError" not in said
    assert "POSTGRES_URL" in said.upper() or "NATS_URL" in said.upper()


def test_what_it_cannot_run_is_refused_in_a_sentence(docker: Docker, image: str) -> None:
    said = docker.run("run", *LOCKED, image, "everything", check=False)

    assert said.startswith("headwater: 'everything' is nothing that runs here; say what to run:")
    assert "Traceback" not in said
