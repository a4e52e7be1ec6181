"""What the agent finds out by itself at its start: the tenant, the embedded Headwater of this machine, Prefect.

Each answers, or raises DiscoveryError with a sentence that says what to do.
"""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from uuid import UUID

from . import credentials
from .address import Address, address_of
from .credentials import CredentialsError
from .link import trust


class DiscoveryError(Exception):
    """It was not found; the text says what to do."""


def embedded(data: Path) -> tuple[Address, str]:
    """NATS and the API of the embedded Headwater that runs on this data folder."""
    data = data.expanduser()
    try:
        running = json.loads((data / "running.json").read_text())
        url = f"nats://127.0.0.1:{running['nats_port']}"
        if running.get("keys_required"):
            # The log-in is the API key, as everywhere.
            return Address(url=url), str(running["url"])
        secrets = json.loads((data / "secrets.json").read_text())
        return (
            Address(url=url, user="headwater", password=secrets["nats"]),
            str(running["url"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        msg = (
            f"No Headwater runs on the data folder {data}. Start one, or name NATS and the API "
            "with --nats and --api."
        )
        raise DiscoveryError(msg) from None


def named(url: str, *, creds: Path | None, tls_ca: Path | None) -> Address:
    """NATS as the options name it; invalid files are refused here, because waiting does not help."""
    try:
        if creds is not None:
            credentials.read(creds)
        if tls_ca is not None:
            trust(tls_ca)
    except CredentialsError as error:
        msg = f"{error}."
    except OSError:  # the text of an SSLError names neither the file nor the option
        msg = f"--tls-ca {tls_ca} holds no certificate of an authority."
    else:
        try:
            return address_of(url, credentials=creds, tls_ca=tls_ca)
        except ValueError as error:
            msg = f"--nats cannot be used: {error}."
    raise DiscoveryError(msg)


def nats_url_of(api_url: str, api_key: str | None) -> str:
    """NATS, as the API tells those who may serve runs."""
    answer = _ask(api_url, api_key, "query { api { nats { url } } }")
    match answer:
        case {"data": {"api": {"nats": {"url": str(url)}}}}:
            return url
        case {"errors": [{"message": str(message)}, *_]}:
            said = f"answers {message!r}"
        case _:
            said = "does not say where NATS is"
    msg = (
        f"The API at {api_url} {said}. Give a key that may serve runs (PREFECT__CLOUD__API_KEY), "
        "or name NATS with --nats."
    )
    raise DiscoveryError(msg)


def tenant_of(api_url: str, api_key: str | None) -> UUID:
    """The tenant that a client of this API has."""
    answer = _ask(api_url, api_key, "query { tenant { id } }")
    try:
        return UUID(answer["data"]["tenant"][0]["id"])
    except (KeyError, IndexError, TypeError, ValueError):
        msg = (
            f"The API at {api_url} {_said(answer)} Give a key that holds "
            "(PREFECT__CLOUD__API_KEY), or name the tenant with --tenant."
        )
    raise DiscoveryError(msg)


def _ask(api_url: str, api_key: str | None, query: str) -> Any:
    """The API's answer, whatever it is."""
    body = json.dumps({"query": query}).encode()
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    if not api_url.startswith(("http://", "https://")):
        msg = f"The API's address {api_url} is not an http(s) URL."
        raise DiscoveryError(msg)
    request = urllib.request.Request(api_url, body, headers)  # noqa: S310 - the scheme was checked
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - as above
            return json.load(response)
    except (OSError, ValueError) as error:
        msg = (
            f"The API at {api_url} did not answer ({error}). Correct --api, or name NATS with --nats "
            "and the tenant with --tenant."
        )
    raise DiscoveryError(msg)


def _said(answer: Any) -> str:
    match answer:
        case {"errors": [{"message": str(message)}, *_]}:
            return f"answers {message!r}."
        case _:
            return "knows no tenant for this key."


def prefect_version(python: str) -> str:
    """The version of Prefect that this Python interpreter has."""
    script = "import importlib.metadata as m; print(m.version('prefect'))"
    try:
        found = subprocess.run(  # noqa: S603 - the interpreter is the user's own choice
            [python, "-c", script], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"The Python interpreter {python} cannot be run: {error}."
        raise DiscoveryError(msg) from None
    version = found.stdout.strip()
    if found.returncode or not version:
        where = "this environment" if python == sys.executable else python
        msg = (
            f"Prefect is not installed in {where}. Install the agent beside it, "
            "or name its interpreter with --python."
        )
        raise DiscoveryError(msg)
    if not version.startswith(("0.", "1.")):
        msg = f"{python} has Prefect {version}; flows of 0.x and 1.x are what Headwater runs."
        raise DiscoveryError(msg)
    return version
