"""The settings of a run's container: image, environment, name, volumes, host config, as Prefect's DockerAgent (1.4.1)
makes them. Pure; `containers` calls the daemon.

Where it differs, for a reason: the agent removes its containers itself instead of `auto_remove`, because it reads the
exit code and the last output of each; the API's address carries the lease; 127.0.0.1 is seen as DockerAgent sees
localhost.
"""

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .environment import (
    RUNNERS,
    Surroundings,
    UnstartableError,
    Version,
    leased,
    parse_version,
    record_format,
    texts,
)
from .wire import ClaimedRun

LOCAL = "unix:///var/run/docker.sock"
AGENT_LABEL = "io.headwater.agent"
"""The owner of a container: the agent's tenant and name."""
LEASE_LABEL = "io.headwater.lease-token"
RUN_LABEL = "io.headwater.run"
"""The claim, so that an agent that lost its state folder still finds its runs."""

_HOST = "host.docker.internal"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_GATEWAY_SINCE = (20, 10, 0)
_NAME_LIMIT = 250


class VolumeError(Exception):
    """A volume is not in Docker's syntax; the text gives the syntax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """Folders of the host in the containers: `binds` by path on the host (or name), as docker-py takes them."""

    names: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    binds: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerOptions:
    """The options of `headwater-agent start --docker`."""

    url: str = LOCAL
    networks: tuple[str, ...] = ()
    volumes: Volumes = Volumes()
    pulls: bool = True
    registries: tuple[str, ...] = ()
    """The only registries to pull from; empty: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One run's container. `host_config` holds keywords of docker-py's `create_host_config`."""

    image: str
    command: str
    name: str
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    host_config: Mapping[str, Any]
    ports: list[Any] | None = None


def container(
    run: ClaimedRun,
    surroundings: Surroundings,
    options: DockerOptions,
    *,
    owner: str,
    inherited: Mapping[str, str],
    daemon: Version,
) -> Container:
    """The container of a run. `daemon` is Docker's version. Raises UnstartableError where DockerAgent fails the run."""
    config = run.run_config or {}
    kind = config.get("type", "DockerRun")
    if kind not in ("DockerRun", "UniversalRun"):
        msg = (
            f"Flow run {run.flow_run_id} has a `run_config` of type `{kind}`, "
            "only `DockerRun` is supported"
        )
        raise UnstartableError(msg)
    config = config if kind == "DockerRun" else {"env": config.get("env")}
    name = image(run)
    return Container(
        image=name,
        command=_command(run),
        name=container_name(run.name) or str(run.flow_run_id),
        environment=_variables(run, surroundings, config, image=name, inherited=inherited),
        labels={
            "io.prefect.flow-name": run.flow_name,
            "io.prefect.flow-id": str(run.flow_id),
            "io.prefect.flow-run-id": str(run.flow_run_id),
            AGENT_LABEL: owner,
            LEASE_LABEL: str(run.lease_token),
            # Fields that are only needed for the start, and may be long, are left out.
            RUN_LABEL: run.model_copy(
                update={"storage": None, "run_config": None}
            ).model_dump_json(),
        },
        host_config=_host_config(config, options, daemon),
        ports=config.get("ports") or None,
    )


def image(run: ClaimedRun) -> str:
    """The image: from Docker storage, else from the run's config, else Prefect's own for the flow's version."""
    storage = run.storage or {}
    if storage.get("type") == "Docker":
        parts = [storage.get("registry_url"), storage.get("image_name")]
        named = "/".join(str(part) for part in parts if part)
        return f"{named}:{storage.get('image_tag')}"
    config = run.run_config or {}
    if config.get("type") == "DockerRun" and config.get("image"):
        return str(config["image"])
    version = (run.core_version or "latest").split("+", 1)[0]
    return f"prefecthq/prefect:{version}"


def registry_to_pull_from(name: str, options: DockerOptions) -> str | None:
    """The registry of an image that must be pulled, None for a local image.

    Raises UnstartableError for a registry that is not allowed.
    """
    if not options.pulls or "/" not in name:
        return None
    registry = name.split("/", 1)[0]
    if options.registries and registry not in options.registries:
        msg = (
            f"Trying to pull image from a Docker registry '{registry}' which "
            "is not in the reg_allow_list"
        )
        raise UnstartableError(msg)
    return registry


def container_name(name: str) -> str:
    """A run's name in the characters that Docker allows; empty if none is left."""
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-zA-Z0-9_.-]+", "-", ascii_)
    slug = re.sub(r"-{2,}", "-", slug).strip("-")
    return slug[:_NAME_LIMIT].lstrip("_-.")


def parse_volumes(given: Iterable[str]) -> Volumes:
    """`[host folder or volume name:]folder in the container[:mode]`. Raises VolumeError."""
    names: list[str] = []
    mounts: list[str] = []
    binds: dict[str, dict[str, str]] = {}
    for text in given:
        fields = [part.strip() for part in text.split(":")]
        if len(fields) > 3 or not all(fields):
            msg = f"--volume {text} is not [HOST:]CONTAINER[:MODE]."
            raise VolumeError(msg)
        inside = posixpath.normpath(fields[1] if len(fields) > 1 else fields[0])
        outside = posixpath.normpath(fields[0])
        mode = fields[2] if len(fields) == 3 else "rw"
        mounts.append(inside)
        if len(fields) > 1 and not outside.startswith((".", "/", "~")):
            names.append(outside)
            if mode != "rw":
                msg = f"--volume {text}: a named volume can only have the mode rw."
                raise VolumeError(msg)
        binds[outside] = {"bind": inside, "mode": mode}
    return Volumes(names=tuple(names), mounts=tuple(mounts), binds=binds)


def api_from_inside(url: str) -> str:
    """The API's address inside a container: the host's loopback has another name there."""
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{_HOST}{port}"))


def _command(run: ClaimedRun) -> str:
    """Chosen as Prefect does, by the version that the flow was registered with."""
    is_old = parse_version(run.core_version or "0.0.0") < (0, 13)
    return "prefect execute cloud-flow" if is_old else "prefect execute flow-run"


def _host_config(
    config: Mapping[str, Any], options: DockerOptions, daemon: Version
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if daemon >= _GATEWAY_SINCE:
        found["extra_hosts"] = {_HOST: "host-gateway"}
    if options.volumes.mounts:
        found["binds"] = {path: dict(bind) for path, bind in options.volumes.binds.items()}
    found |= config.get("host_config") or {}
    if options.networks and options.networks[0] in ("host", "none"):
        found.setdefault("network_mode", options.networks[0])
    return found | {"auto_remove": False}


def _variables(
    run: ClaimedRun,
    surroundings: Surroundings,
    config: Mapping[str, Any],
    *,
    image: str,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """In DockerAgent's order of precedence; a container inherits nothing of the agent's own environment."""
    sends = str(surroundings.send_logs).lower()
    env = {
        "PREFECT__CLOUD__API": api_from_inside(surroundings.api_url),
        "PREFECT__LOGGING__LEVEL": inherited.get("PREFECT__LOGGING__LEVEL", "INFO"),
        "PREFECT__LOGGING__FORMAT": record_format(inherited),
    }
    env |= surroundings.given
    env |= texts(config.get("env"))
    if not surroundings.send_logs or "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS" not in env:
        env["PREFECT__CLOUD__SEND_FLOW_RUN_LOGS"] = sends
    key = surroundings.api_key or ""
    env |= {
        # The user may set the address, because no default is right in every network; the agent adds the lease.
        "PREFECT__CLOUD__API": leased(env["PREFECT__CLOUD__API"], run, surroundings),
        "PREFECT__BACKEND": surroundings.backend,
        "PREFECT__CLOUD__API_KEY": key,
        "PREFECT__CLOUD__TENANT_ID": str(surroundings.tenant_id or "") if key else "",
        "PREFECT__CLOUD__AGENT__LABELS": str(list(surroundings.labels)),
        "PREFECT__CONTEXT__FLOW_RUN_ID": str(run.flow_run_id),
        "PREFECT__CONTEXT__FLOW_ID": str(run.flow_id),
        "PREFECT__CONTEXT__IMAGE": image,
        "PREFECT__CLOUD__USE_LOCAL_SECRETS": "false",
        "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS": RUNNERS[0],
        "PREFECT__LOGGING__LOG_TO_CLOUD": sends,
        "PREFECT__CLOUD__AUTH_TOKEN": key,
    }
    version = parse_version(run.core_version or "1.4.1")
    if version < (0, 13):
        env["PREFECT__ENGINE__TASK_RUNNER__DEFAULT_CLASS"] = RUNNERS[1]
    if version < (0, 10) and not key:
        env["PREFECT__CLOUD__AUTH_TOKEN"] = "any"  # noqa: S105 - Core before 0.10 wants some token
    return env
