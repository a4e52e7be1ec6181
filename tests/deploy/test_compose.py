"""docker-compose.yml is understood by Compose v2 and by Debian's 1.29, and says the same to both."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.containers.write_env import completed
from libs.contracts.services import SERVICES
from tests.offline import Docker
from tests.offline.daemon import run
from tests.offline.stand_ins import CHECKOUT, STAND_INS
from tests.support.containers import (
    JOBS,
    LONG_RUNNING,
    compose_v1,
    compose_v2,
)

pytestmark = [pytest.mark.containers, pytest.mark.slow]

FILE = CHECKOUT / "docker-compose.yml"
AGENTS = CHECKOUT / "deploy/containers/agents.yml"
NATS_TLS = CHECKOUT / "deploy/containers/nats-tls.yml"
OBSERVABILITY = CHECKOUT / "deploy/observability"


def understood(compose: list[str], env: Path, *files: Path) -> dict[str, Any]:
    named = [word for file in files for word in ("--file", str(file))]
    text = run([*compose, *named, "--env-file", str(env), "config"])
    found: dict[str, Any] = yaml.safe_load(text)
    if "--profile" not in compose:
        # 1.29 shows what would not be started, too.
        services = found["services"].items()
        found["services"] = {name: each for name, each in services if not each.get("profiles")}
    return found


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("env") / "env"
    path.write_text(completed(""))
    return path


@pytest.fixture(params=["v2", "1.29"])
def compose(request: pytest.FixtureRequest, docker: Docker) -> list[str]:
    found = compose_v2() if request.param == "v2" else compose_v1()
    if found is None:
        pytest.skip("there is no docker-compose 1.29 here: v1 is NOT tested")
    return found


@pytest.fixture
def config(compose: list[str], env: Path) -> dict[str, Any]:
    return understood(compose, env, FILE)


def test_it_has_everything_that_runs(config: dict[str, Any]) -> None:
    assert set(config["services"]) == {*LONG_RUNNING, *JOBS}


def test_the_profile_adds_what_looks_on_and_opens_it_on_loopback_only(
    compose: list[str], env: Path
) -> None:
    services = understood([*compose, "--profile", "observability"], env, FILE)["services"]
    added = {name: each for name, each in services.items() if name not in {*LONG_RUNNING, *JOBS}}

    assert set(added) == {"prometheus", "alertmanager", "grafana"}
    for name, each in added.items():
        assert each["profiles"] == ["observability"], name
        assert "127.0.0.1" in str(each["ports"]), name
        assert each["read_only"], name
    jobs = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())["scrape_configs"]
    [names] = [sd["names"] for job in jobs for sd in job.get("dns_sd_configs", ())]
    assert set(names) == set(SERVICES)


def test_services_wait_for_migration_and_provisioning(config: dict[str, Any]) -> None:
    for name in SERVICES:
        waits = config["services"][name]["depends_on"]
        for job in ("migrate", "provision"):
            assert waits[job]["condition"] == "service_completed_successfully", name


def test_only_the_proxy_has_a_port(config: dict[str, Any]) -> None:
    assert [name for name, each in config["services"].items() if each.get("ports")] == ["proxy"]
    assert config["networks"]["inside"]["internal"] is True


def test_agents_yml_opens_nats_on_loopback_and_nothing_else(
    compose: list[str], config: dict[str, Any], env: Path
) -> None:
    opened = understood(compose, env, FILE, AGENTS)["services"]
    closed = config["services"]

    assert {name for name, each in opened.items() if each.get("ports")} == {"proxy", "nats"}
    assert "127.0.0.1" in str(opened["nats"]["ports"])
    reaches = {name: set(each.get("networks") or ()) for name, each in opened.items()}
    assert reaches.pop("nats") == {"inside", "outside"}
    assert reaches == {name: set(closed[name].get("networks") or ()) for name in reaches}
    assert reaches["nats-volume"] == set()


def test_nothing_that_goes_on_runs_as_root_and_of_the_jobs_one_may_give_files_away(
    config: dict[str, Any],
) -> None:
    root = {name for name, each in config["services"].items() if each.get("user") == "0:0"}
    capable = {
        name: each["cap_add"] for name, each in config["services"].items() if each.get("cap_add")
    }

    assert root == {"nats-volume"}
    assert capable == {"nats-volume": ["CHOWN"]}
    assert config["services"]["nats"]["user"] == "10002:10002"
    waits = config["services"]["nats"]["depends_on"]["nats-volume"]
    assert waits["condition"] == "service_completed_successfully"


def test_the_key_of_nats_is_seen_by_nats_alone(
    compose: list[str], env: Path, tmp_path: Path
) -> None:
    other = tmp_path / "env"
    other.write_text(f"{env.read_text()}\nHEADWATER_NATS_TLS={tmp_path}\n")

    services = understood(compose, other, FILE, NATS_TLS)["services"]

    seen = {name for name, each in services.items() if str(tmp_path) in str(each)}
    copied = {name for name, each in services.items() if "nats-key" in str(each["volumes"])}
    assert (seen, copied) == ({"nats-volume"}, {"nats-volume", "nats"})
    assert [name for name, each in services.items() if each.get("ports")] == ["proxy"]


def test_without_a_folder_of_its_key_nats_speaks_no_tls_by_halves(
    compose: list[str], env: Path
) -> None:
    files = [word for file in (FILE, NATS_TLS) for word in ("--file", str(file))]

    said = run([*compose, *files, "--env-file", str(env), "config"], check=False)

    assert "the folder of server.crt and server.key" in said


def test_what_silence_is_reaches_all_whom_it_concerns(
    compose: list[str], env: Path, tmp_path: Path
) -> None:
    other = tmp_path / "env"
    other.write_text(f"{env.read_text()}\nHEADWATER_HEARTBEAT_INTERVAL=PT60S\n")

    services = understood(compose, other, FILE)["services"]

    told = {
        name: each["environment"]["HEADWATER_HEARTBEAT_INTERVAL"]
        for name, each in services.items()
        if "HEADWATER_HEARTBEAT_INTERVAL" in (each.get("environment") or {})
    }
    assert told == dict.fromkeys(("gateway", "runs", "heartbeat", "lazarus"), "PT60S")


def test_nothing_keeps_it_from_being_scaled(config: dict[str, Any]) -> None:
    for name in SERVICES:
        assert "container_name" not in config["services"][name]
        assert not config["services"][name].get("ports")


def test_each_service_gets_its_own_secrets_only(config: dict[str, Any], env: Path) -> None:
    secrets = dict(
        line.split("=", 1) for line in env.read_text().splitlines() if not line.startswith("#")
    )
    for name in set(SERVICES) - {"gateway"}:
        given = set(config["services"][name]["environment"].values())
        held = {secret for secret, value in secrets.items() if value in given}
        assert held == {
            f"HEADWATER_POSTGRES_{name.upper()}_PASSWORD",
            f"HEADWATER_NATS_{name.upper()}_PASSWORD",
        }


def test_without_secrets_it_refuses_and_says_what_to_do(compose: list[str], tmp_path: Path) -> None:
    (tmp_path / "env").touch()
    shutil.copy(FILE, tmp_path)

    said = run(
        [
            *compose,
            "--file",
            str(tmp_path / FILE.name),
            "--env-file",
            str(tmp_path / "env"),
            "config",
        ],
        check=False,
    )

    assert "run make env" in said


def test_the_stand_ins_are_for_the_images_it_names(config: dict[str, Any]) -> None:
    named = {each["image"] for each in config["services"].values()} - {"headwater:latest"}

    assert named == {image.name for image in STAND_INS} - {"python:3.11", "python:3.11-slim"}
