"""The first program in a container: `entrypoint.py gateway | registry | ... | migrate | provision | ready`.

Turns a container's configuration into our variables, then becomes the service (exec, so that signals reach it):

* `HEADWATER_X_FILE` names a file that holds `HEADWATER_X`: secrets as files, for every variable.
* `HEADWATER_POSTGRES_PASSWORD`, `HEADWATER_READER_POSTGRES_PASSWORD` and `HEADWATER_NATS_PASSWORD` go into the URL of
  the same name, escaped. That of NATS may name several nodes: `nats://user@host:port,host:port`.
* `HEADWATER_ROLE_PASSWORD_RUNS`, ... become the JSON object that migrating takes.
* A service listens on all addresses of its container: the API on 4200, health and metrics on 4201.

`ready` checks the service in this container; it is the image's health check. Standard library only, and nothing of
Headwater: it starts in a few hundredths of a second, every few seconds.
"""

import http.client
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

SERVICES = ("gateway", "registry", "runs", "scheduler", "heartbeat", "lazarus", "automations")
JOBS = ("migrate", "provision")
URLS = ("POSTGRES", "READER_POSTGRES", "NATS")

_PREFIX = "HEADWATER_"
_ROLE = _PREFIX + "ROLE_PASSWORD_"
_HEALTH_PORT = "4201"
_USAGE = f"say what to run: {', '.join((*SERVICES, *JOBS))}, or ready"


class ConfigurationError(Exception):
    """The environment cannot be used; the text names the variable."""


def module_of(name: str) -> str:
    """The module that this name runs."""
    if name in SERVICES:
        return f"services.{name}"
    if name in JOBS:
        return f"deploy.{name}"
    raise ConfigurationError(f"{name!r} is nothing that runs here; {_USAGE}")


def environment_for(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of the service or job, from that of the container."""
    environment = _with_files_read(given)
    for url in URLS:
        _put_password(environment, _PREFIX + url)
    roles = {
        variable.removeprefix(_ROLE).lower(): environment.pop(variable)
        for variable in list(environment)
        if variable.startswith(_ROLE)
    }
    if roles:
        environment[_PREFIX + "ROLE_PASSWORDS"] = json.dumps(roles)
    if name in SERVICES:
        environment.setdefault(_PREFIX + "HEALTH_HOST", "0.0.0.0")  # noqa: S104 - of the container
        environment.setdefault(_PREFIX + "HEALTH_PORT", _HEALTH_PORT)
    if name == "gateway":
        environment.setdefault(_PREFIX + "HOST", "0.0.0.0")  # noqa: S104 - of the container
    return environment


def _with_files_read(given: Mapping[str, str]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for variable, value in given.items():
        if variable.startswith(_PREFIX) and not value:
            continue  # compose passes an unset variable as an empty one
        if not (variable.startswith(_PREFIX) and variable.endswith("_FILE")):
            environment[variable] = value
            continue
        target = variable.removesuffix("_FILE")
        if given.get(target):
            raise ConfigurationError(f"{target} and {variable} are both set; keep one")
        try:
            # Editors and `echo` add a line break at the end, which is not a part of the secret.
            environment[target] = Path(value).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise ConfigurationError(f"{variable}: {value} cannot be read ({reason})") from None
    return environment


def _put_password(environment: dict[str, str], name: str) -> None:
    password = environment.pop(name + "_PASSWORD", None)
    if not password:
        return
    url = environment.get(name + "_URL")
    if not url:
        raise ConfigurationError(f"{name}_PASSWORD is set and {name}_URL is not; set both")
    try:
        parts = urlsplit(url)
        has_password = parts.password is not None
    except ValueError:
        raise ConfigurationError(f"{name}_URL is not a URL") from None
    user, at, host = parts.netloc.partition("@")
    if has_password or not at:
        raise ConfigurationError(
            f"{name}_URL must name a user and no password (scheme://user@host:port), since {name}_PASSWORD is set"
        )
    netloc = f"{user}:{quote(password, safe='')}@{host}"
    environment[name + "_URL"] = urlunsplit(parts._replace(netloc=netloc))


def ready(port: int) -> list[str]:
    """Why the service in this container is not ready; empty when it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/ready")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return [f"no answer on port {port}: {error}"]
    finally:
        connection.close()
    if answer.get("ready") is True:
        return []
    return [str(reason) for reason in answer.get("reasons", ())] or ["not ready"]


def main(arguments: list[str]) -> None:
    """Become the requested program, or exit with one sentence."""
    try:
        if len(arguments) != 1:
            raise ConfigurationError(_USAGE)
        [name] = arguments
        if name == "ready":
            reasons = ready(int(os.environ.get(_PREFIX + "HEALTH_PORT") or _HEALTH_PORT))
            sys.stdout.write(("; ".join(reasons) or "ready") + "\n")
            raise SystemExit(1 if reasons else 0)
        module = module_of(name)
        environment = environment_for(name, os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"headwater: {error}\n")
        raise SystemExit(2) from None
    os.execve(sys.executable, [sys.executable, "-m", module], environment)  # noqa: S606 - no shell needed


if __name__ == "__main__":
    main(sys.argv[1:])
