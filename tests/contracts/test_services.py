"""Every place that names the services names those of `libs.contracts.services`."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy import entrypoint
from deploy.containers import write_env
from libs.contracts.services import SERVICES, START_ORDER

CHECKOUT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
CHART = CHECKOUT / "deploy/helm/headwater"
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def test_every_service_is_a_folder_and_every_python_folder_a_service() -> None:
    folders = {path.parent.name for path in (CHECKOUT / "services").glob("*/__main__.py")}

    assert folders == set(SERVICES)


def test_the_scripts_that_run_alone_know_the_services() -> None:
    assert set(entrypoint.SERVICES) == set(SERVICES)
    assert set(write_env.SERVICES) == set(SERVICES)


def test_all_services_are_started_and_the_gateway_last() -> None:
    assert set(START_ORDER) == set(SERVICES)
    assert len(START_ORDER) == len(SERVICES)
    assert START_ORDER[-1] == "gateway"


def test_compose_runs_every_service() -> None:
    commands = [service.get("command") for service in COMPOSE["services"].values()]

    assert [name for name in SERVICES if [name] not in commands] == []


def test_the_chart_runs_every_service_and_makes_its_role() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jobs = (CHART / "templates/jobs.yaml").read_text()
    roles = re.findall(r'"([a-z]+)"', re.findall(r"range list (.*?)\}\}", jobs)[0])

    assert set(values["services"]) == set(SERVICES)
    assert set(roles) == {*SERVICES, "reader"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_import_another(name: str) -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    [independent] = [each for each in contracts if each["id"] == "services-independent"]

    assert f"services.{name}" in independent["modules"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_rooms_of_a_service_have_an_order(name: str) -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    [rooms] = [each for each in contracts if each["id"] == "rooms-of-a-service"]

    assert f"services.{name}" in rooms["containers"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_in_one_file_what_it_listens_to(name: str) -> None:
    assert (CHECKOUT / "services" / name / "subscribers.py").exists()


@pytest.mark.parametrize("name", SERVICES)
def test_the_rules_of_a_service_may_do_no_io(name: str) -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    [pure] = [each for each in contracts if each["id"] == "pure-domain"]
    has_rules = any(
        (CHECKOUT / "services" / name / part).exists() for part in ("domain.py", "domain")
    )

    assert (f"services.{name}.domain" in pure["source_modules"]) is has_rules


@pytest.mark.parametrize("page", ["README.md", "services/README.md"])
@pytest.mark.parametrize("name", SERVICES)
def test_the_pages_name_every_service(page: str, name: str) -> None:
    assert name in (CHECKOUT / page).read_text()
