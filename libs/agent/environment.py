"""The environment of a run's process, as Prefect's own LocalAgent makes it, in its order of precedence; and the command
with which the installed version of Prefect runs a flow.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from .wire import ClaimedRun, JsonObject

END_OF_RECORD = "\x1f"
"""The end of each of Prefect's own log records in the output, so that other output can be separated (`output`)."""

_FORMAT = "[%(asctime)s] %(levelname)s - %(name)s | %(message)s" + END_OF_RECORD
RUNNERS = "prefect.engine.cloud.CloudFlowRunner", "prefect.engine.cloud.CloudTaskRunner"

Version = tuple[int, ...]


class UnstartableError(Exception):
    """The run cannot be started here or on a similar agent; the text goes into its state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The part of the environment that is the same for every run. `api_url` is the GraphQL API that the process reports
    to."""

    api_url: str
    labels: tuple[str, ...]
    api_key: str | None = None
    tenant_id: UUID | None = None
    backend: str = "server"
    given: Mapping[str, str] = field(default_factory=dict)
    import_paths: tuple[str, ...] = ()
    send_logs: bool = True
    fences: bool = True
    """Whether the API's address carries the lease, so that a process that lost its run cannot write its state."""


def working_folder(run: ClaimedRun) -> Path | None:
    """The folder that the run's config asks for. Raises UnstartableError where LocalAgent would fail the run."""
    if (run.storage or {}).get("type") == "Docker":
        raise UnstartableError("Unsupported Storage type: Docker")
    config = run.run_config or {}
    kind = config.get("type", "LocalRun")
    if kind not in ("LocalRun", "UniversalRun"):
        msg = (
            f"Flow run {run.flow_run_id} has a `run_config` of type `{kind}`, "
            "only `LocalRun` is supported"
        )
        raise UnstartableError(msg)
    folder = config.get("working_dir") if kind == "LocalRun" else None
    if not folder:
        return None
    if not Path(folder).exists():
        msg = f"Flow run {run.flow_run_id} has a nonexistent `working_dir` configured: {folder}"
        raise UnstartableError(msg)
    return Path(folder)


def variables(
    run: ClaimedRun,
    surroundings: Surroundings,
    *,
    inherited: Mapping[str, str],
    here: Path,
    prefect: Version,
) -> dict[str, str]:
    """The process's environment. `inherited` is the agent's own; `here` its working folder."""
    given = surroundings.given
    env = dict(inherited)
    env["PREFECT__LOGGING__LEVEL"] = inherited.get("PREFECT__LOGGING__LEVEL", "INFO")
    env["PREFECT__LOGGING__FORMAT"] = record_format(inherited)
    paths = [str(working_folder(run) or here)]
    if inherited.get("PYTHONPATH"):
        paths.append(inherited["PYTHONPATH"])
    env["PYTHONPATH"] = os.pathsep.join([*paths, *surroundings.import_paths])
    env |= given
    env |= texts((run.run_config or {}).get("env"))
    if not surroundings.send_logs or "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS" not in env:
        env["PREFECT__CLOUD__SEND_FLOW_RUN_LOGS"] = str(surroundings.send_logs).lower()
    env |= _required(run, surroundings, prefect)
    return env


def _required(run: ClaimedRun, surroundings: Surroundings, prefect: Version) -> dict[str, str]:
    """Variables that neither the user nor the run's config may override."""
    env = {
        "PREFECT__BACKEND": surroundings.backend,
        "PREFECT__CLOUD__API": api_url(run, surroundings),
        "PREFECT__CLOUD__AGENT__LABELS": str(list(surroundings.labels)),
        "PREFECT__CONTEXT__FLOW_RUN_ID": str(run.flow_run_id),
        "PREFECT__CONTEXT__FLOW_ID": str(run.flow_id),
        "PREFECT__CLOUD__USE_LOCAL_SECRETS": "false",
        "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS": RUNNERS[0],
    }
    if prefect < (0, 13):
        env["PREFECT__ENGINE__TASK_RUNNER__DEFAULT_CLASS"] = RUNNERS[1]
    if surroundings.api_key is not None:
        name = "API_KEY" if prefect >= (0, 15) else "AUTH_TOKEN"
        env[f"PREFECT__CLOUD__{name}"] = surroundings.api_key
        if surroundings.tenant_id is not None:
            env["PREFECT__CLOUD__TENANT_ID"] = str(surroundings.tenant_id)
    elif prefect < (0, 10):
        env["PREFECT__CLOUD__AUTH_TOKEN"] = "any"  # noqa: S105 - Core before 0.10 wants some token
    return env


def api_url(run: ClaimedRun, surroundings: Surroundings) -> str:
    """The address for the process's GraphQL. Unchanged clients send no lease, so the address carries it."""
    return leased(surroundings.api_url.rstrip("/"), run, surroundings)


def leased(url: str, run: ClaimedRun, surroundings: Surroundings) -> str:
    """An address of the API, followed by the run's lease when runs are fenced."""
    if not surroundings.fences:
        return url
    return f"{url.rstrip('/')}/lease/{run.flow_run_id}/{run.lease_token}"


def command(python: str, prefect: Version) -> list[str]:
    """The command that runs a flow: Prefect's own, which changed its name twice."""
    if prefect >= (0, 14, 2):
        return [python, "-m", "prefect", "execute", "flow-run"]
    script = str(Path(python).with_name("prefect"))
    return [script, "execute", "flow-run" if prefect >= (0, 13) else "cloud-flow"]


def parse_version(text: str) -> Version:
    """`1.4.1` or `0.14.22+dev` as numbers."""
    numbers = []
    for part in text.split("+", 1)[0].split(".")[:3]:
        digits = "".join(ch for ch in part if ch.isdigit())
        numbers.append(int(digits or 0))
    return tuple(numbers)


def record_format(inherited: Mapping[str, str]) -> str:
    """The format in which Prefect prints its records, so that `output` recognises them."""
    return inherited.get("PREFECT__LOGGING__FORMAT", _FORMAT)


def texts(given: JsonObject | Any) -> dict[str, str]:
    """The environment variables of a run's config."""
    if not isinstance(given, dict):
        return {}
    return {str(key): str(value) for key, value in given.items() if value is not None}
