"""Docker for the whole folder; a daemon that was started here ends with the tests, its images stay."""

from collections.abc import Iterator

import pytest

from tests.offline import Docker
from tests.offline.image import build
from tests.support.containers import docker_or_fail, tell

IMAGE = "headwater:test"


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    found = docker_or_fail()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def image(docker: Docker) -> str:
    """The image of this checkout."""
    build(docker, IMAGE, tell=tell)
    return IMAGE
