"""What a run's container is. That it equals DockerAgent's is tested with the real one (tests/integration/agent)."""

from typing import Any

import pytest

from libs.agent.container import (
    DockerOptions,
    VolumeError,
    api_from_inside,
    container,
    container_name,
    image,
    parse_volumes,
    registry_to_pull_from,
)
from libs.agent.environment import Surroundings, UnstartableError
from libs.agent.wire import ClaimedRun
from tests.unit.agent.builders import RUN, TOKEN, a_run

ANY = DockerOptions()


def made(run: ClaimedRun, options: DockerOptions = ANY, **fields: Any) -> Any:
    surroundings = Surroundings(**{"api_url": "http://localhost:4200", "labels": ()} | fields)
    return container(run, surroundings, options, owner="t/agent", inherited={}, daemon=(24, 0, 5))


def test_the_address_is_the_hosts_and_carries_the_lease() -> None:
    env = made(a_run()).environment
    assert env["PREFECT__CLOUD__API"] == f"http://host.docker.internal:4200/lease/{RUN}/{TOKEN}"


def test_the_address_may_be_the_users_and_still_carries_the_lease() -> None:
    env = made(a_run(), given={"PREFECT__CLOUD__API": "http://gateway:4200/"}).environment
    assert env["PREFECT__CLOUD__API"] == f"http://gateway:4200/lease/{RUN}/{TOKEN}"


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("http://localhost:4200", "http://host.docker.internal:4200"),
        ("http://127.0.0.1:4200/graphql", "http://host.docker.internal:4200/graphql"),
        ("http://[::1]:4200", "http://host.docker.internal:4200"),
        ("https://headwater.example", "https://headwater.example"),
        ("http://localhost.example:1", "http://localhost.example:1"),
    ],
)
def test_loopback_is_seen_as_the_host(given: str, seen: str) -> None:
    assert api_from_inside(given) == seen


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "prefecthq/prefect:1.4.1"),
        ({"core_version": "0.14.22+7.gabc"}, "prefecthq/prefect:0.14.22"),
        ({"core_version": None}, "prefecthq/prefect:latest"),
        ({"run_config": {"type": "DockerRun", "image": "mine:1"}}, "mine:1"),
        ({"run_config": {"type": "UniversalRun", "image": "mine:1"}}, "prefecthq/prefect:1.4.1"),
        (
            {
                "storage": {
                    "type": "Docker",
                    "registry_url": "reg:5000/team",
                    "image_name": "etl",
                    "image_tag": "7",
                },
                "run_config": {"type": "DockerRun", "image": "mine:1"},
            },
            "reg:5000/team/etl:7",
        ),
        (
            {"storage": {"type": "Docker", "registry_url": None, "image_name": "etl", "image_tag": "7"}},
            "etl:7",
        ),
    ],
)  # fmt: skip
def test_the_image_is_of_the_storage_the_config_or_the_version(
    fields: dict[str, Any], expected: str
) -> None:
    assert image(a_run(**fields)) == expected


def test_a_run_for_another_kind_of_agent_is_refused() -> None:
    with pytest.raises(UnstartableError, match="only `DockerRun` is supported"):
        made(a_run(run_config={"type": "LocalRun"}))


def test_the_runs_host_config_overrides_all_but_the_removal() -> None:
    config = {
        "type": "DockerRun",
        "host_config": {"extra_hosts": {"a": "b"}, "auto_remove": True, "shm_size": "1g"},
    }

    found = made(a_run(run_config=config), DockerOptions(networks=("host", "other"))).host_config

    assert found == {
        "extra_hosts": {"a": "b"},
        "auto_remove": False,
        "shm_size": "1g",
        "network_mode": "host",
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quick-fox", "quick-fox"),
        ("_-.Über lauf! (2)", "Uber-lauf-2"),
        ("日本", ""),
        ("a" * 300, "a" * 250),
    ],
)
def test_a_name_is_made_fit_for_docker(name: str, expected: str) -> None:
    assert container_name(name) == expected


def test_a_run_without_a_usable_name_is_named_by_its_id() -> None:
    assert made(a_run(name="日本")).name == str(RUN)


@pytest.mark.parametrize(
    ("image_name", "options", "expected"),
    [
        ("reg.example/etl:1", DockerOptions(), "reg.example"),
        ("prefecthq/prefect:1.4.1", DockerOptions(), "prefecthq"),
        ("etl:1", DockerOptions(), None),
        ("reg.example/etl:1", DockerOptions(pulls=False), None),
        ("reg.example/etl:1", DockerOptions(registries=("reg.example",)), "reg.example"),
    ],
)
def test_images_with_a_registry_or_a_user_are_pulled(
    image_name: str, options: DockerOptions, expected: str | None
) -> None:
    assert registry_to_pull_from(image_name, options) == expected


def test_an_image_of_another_registry_is_refused() -> None:
    with pytest.raises(UnstartableError, match="which is not in the reg_allow_list"):
        registry_to_pull_from("evil.example/etl", DockerOptions(registries=("reg.example",)))


def test_volumes_are_parsed_as_dockers_are() -> None:
    found = parse_volumes(["/data", "/host/:/inside/", "cache:/cache", "/here:/there:ro"])

    assert found.names == ("cache",)
    assert found.mounts == ("/data", "/inside", "/cache", "/there")
    assert found.binds == {
        "/data": {"bind": "/data", "mode": "rw"},
        "/host": {"bind": "/inside", "mode": "rw"},
        "cache": {"bind": "/cache", "mode": "rw"},
        "/here": {"bind": "/there", "mode": "ro"},
    }


@pytest.mark.parametrize("given", ["a:b:c:d", "", ":/inside", "cache:/cache:ro"])
def test_a_volume_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(VolumeError, match="--volume"):
        parse_volumes([given])
