"""The environment of a client process that uses one Headwater and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from deploy.clients.install import Environment

# Core before 0.10 has no Server. It takes any address as its Cloud, and needs a token.
AS_CLOUD = frozenset({"0.9.8", "0.8.1"})

# Variables that would make the client import our packages, or end up in our environment.
FOREIGN = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})


def variables(environment: Environment, *, url: str, home: Path) -> dict[str, str]:
    """The environment variables of a client process that uses the API at `url`.

    `home` replaces ~/.prefect: the user's configuration there, and PREFECT__ variables, have no effect, and nothing is
    written to it.
    """
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in FOREIGN and not key.startswith("PREFECT__")
    }
    return {
        **inherited,
        # Agents before 0.14.2 start runs by the bare name `prefect`.
        "PATH": os.pathsep.join([str(environment.root / "bin"), inherited.get("PATH", os.defpath)]),
        "PREFECT__HOME_DIR": str(home),
        "PREFECT__USER_CONFIG_PATH": str(home / "config.toml"),
        "PREFECT__BACKEND_CONFIG_PATH": str(home / "backend.toml"),
        **_address(environment.version, url),
    }


def _address(version: str, url: str) -> dict[str, str]:
    if version in AS_CLOUD:
        return {
            "PREFECT__BACKEND": "cloud",
            "PREFECT__CLOUD__API": url,
            "PREFECT__CLOUD__AUTH_TOKEN": "any",
            "PREFECT__CLOUD__AGENT__AUTH_TOKEN": "any",
        }
    parts = urlsplit(url)
    return {
        "PREFECT__BACKEND": "server",
        "PREFECT__SERVER__HOST": f"{parts.scheme}://{parts.hostname}",
        "PREFECT__SERVER__PORT": str(parts.port),
        # The base of links to a flow; never fetched.
        "PREFECT__SERVER__UI__ENDPOINT": url,
    }
