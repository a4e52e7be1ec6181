"""What a run's process is given. That it equals LocalAgent's is tested with the real one."""

from pathlib import Path
from typing import Any

import pytest

from libs.agent.environment import (
    Surroundings,
    UnstartableError,
    command,
    parse_version,
    variables,
    working_folder,
)
from libs.agent.wire import ClaimedRun
from tests.unit.agent.builders import RUN, TOKEN, a_run

HERE = Path("/work place")


def given_to(run: ClaimedRun, *, prefect: str = "1.4.1", **fields: Any) -> dict[str, str]:
    surroundings = Surroundings(**{"api_url": "http://api:4200/", "labels": ("a",)} | fields)
    return variables(
        run, surroundings, inherited={"HOME": "/root"}, here=HERE, prefect=parse_version(prefect)
    )


def test_the_address_carries_the_lease() -> None:
    assert given_to(a_run())["PREFECT__CLOUD__API"] == f"http://api:4200/lease/{RUN}/{TOKEN}"
    assert given_to(a_run(), fences=False)["PREFECT__CLOUD__API"] == "http://api:4200"


def test_a_runs_own_variables_override_the_agents_but_not_the_required_ones() -> None:
    run = a_run(
        run_config={"type": "LocalRun", "env": {"A": "run", "N": 1, "PREFECT__BACKEND": "x"}}
    )

    env = given_to(run, given={"A": "agent", "B": "agent"})

    assert (env["A"], env["B"], env["N"]) == ("run", "agent", "1")
    assert env["PREFECT__BACKEND"] == "server"


@pytest.mark.parametrize(
    ("prefect", "variable"),
    [
        ("1.4.1", "PREFECT__CLOUD__API_KEY"),
        ("0.15.13", "PREFECT__CLOUD__API_KEY"),
        ("0.14.22", "PREFECT__CLOUD__AUTH_TOKEN"),
        ("0.8.1", "PREFECT__CLOUD__AUTH_TOKEN"),
    ],
)
def test_a_key_goes_under_the_name_that_the_version_knows(prefect: str, variable: str) -> None:
    assert given_to(a_run(), prefect=prefect, api_key="secret")[variable] == "secret"


@pytest.mark.parametrize(
    ("prefect", "expected"),
    [
        ("1.4.1", ["/venv/bin/python", "-m", "prefect", "execute", "flow-run"]),
        ("0.14.2", ["/venv/bin/python", "-m", "prefect", "execute", "flow-run"]),
        ("0.14.1", ["/venv/bin/prefect", "execute", "flow-run"]),
        ("0.13.0", ["/venv/bin/prefect", "execute", "flow-run"]),
        ("0.12.6", ["/venv/bin/prefect", "execute", "cloud-flow"]),
    ],
)
def test_the_command_is_the_versions_own(prefect: str, expected: list[str]) -> None:
    assert command("/venv/bin/python", parse_version(prefect)) == expected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"storage": {"type": "Docker"}}, "Unsupported Storage type: Docker"),
        ({"run_config": {"type": "DockerRun"}}, "`DockerRun`"),
        ({"run_config": {"type": "LocalRun", "working_dir": "/nowhere"}}, "nonexistent"),
    ],
)
def test_what_local_agent_refuses_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnstartableError, match=reason):
        working_folder(a_run(**fields))
