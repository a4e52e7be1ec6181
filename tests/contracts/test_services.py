"""Every place that names the services names those of `libs.contracts.services`."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy import entrypoint, nats_users
from deploy.containers import write_env
from deploy.local.settings import LocalSettings
from deploy.migration import missing_schemas
from libs.contracts.services import SERVICES, START_ORDER

CHECKOUT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
CHART = CHECKOUT / "deploy/helm/headwater"
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
COMMON_FILES = ("__init__.py", "__main__.py", "app.py", "settings.py", "subscribers.py")


def import_contract(name: str) -> dict[str, list[str]]:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    [found] = [each for each in contracts if each["id"] == name]
    return dict(found)


def test_every_service_is_a_folder_and_every_python_folder_a_service() -> None:
    folders = {path.parent.name for path in (CHECKOUT / "services").glob("*/__main__.py")}

    assert folders == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_the_files_that_every_service_has(name: str) -> None:
    folder = CHECKOUT / "services" / name

    assert [file for file in COMMON_FILES if not (folder / file).exists()] == []


@pytest.mark.parametrize("name", SERVICES)
def test_the_page_of_a_service_says_what_it_owns_and_where_to_go(name: str) -> None:
    page = (CHECKOUT / "services" / name / "__init__.py").read_text()

    assert "**Owns**" in page
    assert "| to change | go to |" in page


def test_the_scripts_that_run_alone_know_the_services() -> None:
    assert set(entrypoint.SERVICES) == set(SERVICES)
    assert set(write_env.SERVICES) == set(SERVICES)


def test_all_services_are_started_and_the_gateway_last() -> None:
    assert set(START_ORDER) == set(SERVICES)
    assert len(START_ORDER) == len(SERVICES)
    assert START_ORDER[-1] == "gateway"


def test_every_service_has_a_schema_that_a_migration_makes() -> None:
    versions = (CHECKOUT / "deploy/migrations/versions").glob("*.*")

    assert missing_schemas(path.read_text() for path in versions) == []


def test_it_is_said_of_every_service_what_it_may_publish() -> None:
    assert set(nats_users.PUBLISHES) == {*SERVICES, nats_users.AGENTS}


def test_every_service_has_a_health_port_of_its_own_after_the_last_first_one() -> None:
    [bound] = [
        each.le
        for each in LocalSettings.model_fields["health_port"].metadata
        if hasattr(each, "le")
    ]

    assert bound + len(SERVICES) - 1 <= 65535


@pytest.mark.parametrize("name", SERVICES)
def test_compose_runs_every_service_with_its_own_role_and_user(name: str) -> None:
    [service] = [each for each in COMPOSE.values() if each.get("command") == [name]]
    given = service["environment"]
    secret = "{%s_PASSWORD:?run make env}"
    postgres, nats = f"HEADWATER_POSTGRES_{name.upper()}", f"HEADWATER_NATS_{name.upper()}"

    assert f"//headwater_{name}@" in given["HEADWATER_POSTGRES_URL"]
    assert f"//{name}@" in given["HEADWATER_NATS_URL"]
    assert given["HEADWATER_POSTGRES_PASSWORD"] == "$" + secret % postgres
    assert given["HEADWATER_NATS_PASSWORD"] == "$" + secret % nats
    # Who makes the role and who lets the user in are told the same.
    roles, users = COMPOSE["migrate"]["environment"], COMPOSE["nats"]["environment"]
    assert roles[f"HEADWATER_ROLE_PASSWORD_{name.upper()}"] == "$" + secret % postgres
    assert users[f"{nats}_PASSWORD"] == f'"${secret % nats}"'


def test_the_chart_runs_every_service_and_takes_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["services"]

    assert set(values["services"]) == set(SERVICES)
    assert set(schema["properties"]) == set(schema["required"]) == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_the_chart_lists_the_secrets_of_every_service(name: str) -> None:
    comment = (CHART / "values.yaml").read_text().partition("existingSecret:")[0]
    listed = set(re.findall(r"(?:postgres|nats)-[a-z]+", comment))

    assert {f"postgres-{name}", f"nats-{name}"} <= listed


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_import_another(name: str) -> None:
    assert f"services.{name}" in import_contract("services-independent")["modules"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_rooms_of_a_service_have_an_order(name: str) -> None:
    assert f"services.{name}" in import_contract("rooms-of-a-service")["containers"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_rules_of_a_service_may_do_no_io(name: str) -> None:
    has_rules = any(
        (CHECKOUT / "services" / name / part).exists() for part in ("domain.py", "domain")
    )

    assert (f"services.{name}.domain" in import_contract("pure-domain")["source_modules"]) is (
        has_rules
    )


@pytest.mark.parametrize("page", ["README.md", "services/README.md", "deploy/containers/README.md"])
@pytest.mark.parametrize("name", SERVICES)
def test_the_pages_name_every_service(page: str, name: str) -> None:
    assert name in (CHECKOUT / page).read_text()
