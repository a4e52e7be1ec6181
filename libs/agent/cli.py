"""The command `headwater-agent`.

Long: `start`, whose parameters are the command line, one by one with their variables and help.
"""

import asyncio
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn
from uuid import UUID

import typer

from . import VERSION, discovery
from .address import Address
from .agent import Agent, Settings
from .container import LOCAL, DockerOptions, VolumeError, parse_volumes
from .discovery import DiscoveryError
from .environment import Surroundings, parse_version
from .folder import StateFolderTakenError
from .processes import Executor, Processes
from .say import Say

app = typer.Typer(
    help="Runs flow runs of a Headwater on this machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(VERSION)


@app.command()
def start(
    *,
    nats: Annotated[
        str | None,
        typer.Option(
            envvar="HEADWATER_NATS_URL", help="nats://[user:password@]host:port[,host:port]; the API knows it too",
        ),
    ] = None,
    api: Annotated[
        str | None,
        typer.Option(
            envvar="HEADWATER_API_URL", help="GraphQL API that the runs report to",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="HEADWATER_DATA", help="in place of --nats and --api: data folder of an embedded Headwater",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="PREFECT__CLOUD__API_KEY", help="API key of the agent and its runs"),
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(envvar="PREFECT__CLOUD__TENANT_ID", help="tenant id; asked of the API by default"),
    ] = None,
    creds: Annotated[
        Path | None,
        typer.Option(
            envvar="HEADWATER_NATS_CREDS", exists=True, dir_okay=False, help="NATS credentials file"
        ),
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(
            envvar="HEADWATER_NATS_TLS_CA", exists=True, dir_okay=False, help="CA file when NATS speaks TLS"
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(envvar="PREFECT__CLOUD__AGENT__NAME", help="name of the agent")
    ] = "agent",
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="may be given several times")
    ] = None,
    hostname_label: Annotated[
        bool | None,
        typer.Option(
            "--hostname-label/--no-hostname-label",
            help="label the agent with this machine's name; without --docker the default, as with Prefect's agents",
        ),
    ] = None,
    capacity: Annotated[
        int, typer.Option("--capacity", "-c", min=1, max=1000, help="runs at a time")
    ] = 2 * (os.cpu_count() or 1),
    python: Annotated[
        str, typer.Option(help="interpreter that has Prefect; by default the agent's own")
    ] = sys.executable,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="KEY=VALUE for the runs; may be given several times")
    ] = None,
    import_path: Annotated[
        list[str] | None, typer.Option("--import-path", "-p", help="folder to import from")
    ] = None,
    docker: Annotated[
        bool, typer.Option("--docker", help="run flow runs in containers, as Prefect's DockerAgent does")
    ] = False,
    docker_url: Annotated[
        str, typer.Option(envvar="DOCKER_HOST", help="Docker daemon")
    ] = LOCAL,
    network: Annotated[
        list[str] | None, typer.Option(help="Docker network of the containers; may be given several times")
    ] = None,
    volume: Annotated[
        list[str] | None, typer.Option(help="[HOST:]CONTAINER[:MODE]; may be given several times")
    ] = None,
    pull: Annotated[
        bool, typer.Option(help="pull images whose name has a registry or a user")
    ] = True,
    reg_allow_list: Annotated[
        list[str] | None, typer.Option(help="registry to pull from, and no other; may be given several times")
    ] = None,
    no_cloud_logs: Annotated[bool, typer.Option("--no-cloud-logs", help="keep no logs of the runs")] = False,
    fence: Annotated[
        bool, typer.Option(help="let the API refuse what a process writes after its run went to another")
    ] = True,
    state: Annotated[
        Path | None,
        typer.Option(envvar="HEADWATER_AGENT_STATE", help="folder for what must outlive the agent"),
    ] = None,
    drain_for: Annotated[
        float, typer.Option(min=0, help="seconds that runs may go on after SIGTERM")
    ] = 600.0,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="serve /metrics and /health on 127.0.0.1")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="say things as JSON lines")] = False,
) -> None:  # fmt: skip
    """Take due runs and run them, until SIGTERM."""
    say = Say(as_json=json)
    try:
        key = api_key or None
        address, api_url = _where(nats, api, data, key=key, creds=creds, tls_ca=tls_ca)
        tenant_id = _tenant(tenant) or discovery.tenant_of(api_url, key)
        labels = _labels(
            label or [], with_hostname=not docker if hostname_label is None else hostname_label
        )
        surroundings = Surroundings(
            api_url=api_url,
            labels=labels,
            api_key=key,
            tenant_id=tenant_id if key else None,
            backend="cloud" if key else "server",
            given=_variables(env or []),
            import_paths=tuple(import_path or ()),
            send_logs=not no_cloud_logs,
            fences=fence,
        )
        options = DockerOptions(
            url=docker_url,
            networks=tuple(network or ()),
            volumes=parse_volumes(volume or []),
            pulls=pull,
            registries=tuple(reg_allow_list or ()),
        )
        executor = (
            _containers(options, surroundings, owner=f"{tenant_id}/{name}", say=say)
            if docker
            else _processes(python, surroundings)
        )
        settings = Settings(
            name=name,
            tenant_id=tenant_id,
            labels=labels,
            capacity=capacity,
            address=_with_key(address, key),
            executor=executor,
            sends_logs=not no_cloud_logs,
            state=state or Path.home() / ".headwater" / "agents" / name,
            metrics_port=metrics_port,
            drain_for=drain_for,
        )
        asyncio.run(_run(settings, say))
    except (DiscoveryError, StateFolderTakenError, VolumeError) as error:
        _complain(str(error))
    except OSError as error:
        _complain(f"{error.strerror or error}: {error.filename or 'see --metrics-port'}.")


def main() -> None:
    """The entry point."""
    app()


async def _run(settings: Settings, say: Say) -> None:
    version = settings.executor.version
    how = f"Prefect {version}" if version else f"{settings.executor.noun}s"
    say(f"headwater-agent {VERSION} {settings.name}, {how}")
    agent = Agent(settings, say=say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    await agent.run()
    say("stopped")
    if agent.failed:
        raise typer.Exit(1)


def _containers(
    options: DockerOptions, surroundings: Surroundings, *, owner: str, say: Say
) -> Executor:
    try:
        from .containers import DaemonError, connected  # noqa: PLC0415 - docker-py is an extra
    except ImportError:
        msg = "--docker needs docker-py; install headwater-agent[docker]."
        raise DiscoveryError(msg) from None
    try:
        return connected(options, surroundings, owner=owner, say=say)
    except DaemonError as error:
        raise DiscoveryError(str(error)) from None


def _processes(python: str, surroundings: Surroundings) -> Executor:
    version = discovery.prefect_version(python)
    return Processes(
        surroundings=surroundings, python=python, prefect=parse_version(version), version=version
    )


def _where(
    nats: str | None,
    api: str | None,
    data: Path | None,
    *,
    key: str | None,
    creds: Path | None,
    tls_ca: Path | None,
) -> tuple[Address, str]:
    if nats is None and data is not None:
        address, api_url = discovery.embedded(data)
        return address, api or api_url
    if api is None:
        msg = "Say where Headwater is: --api, or --data for one that runs on this machine."
        raise DiscoveryError(msg)
    url = nats or discovery.nats_url_of(api, key)
    return discovery.named(url, creds=creds, tls_ca=tls_ca), api


def _with_key(address: Address, key: str | None) -> Address:
    """The API key is the log-in to NATS too, unless a user was named."""
    if address.user or address.credentials or address.api_key:
        return address
    return replace(address, api_key=key)


def _tenant(given: str | None) -> UUID | None:
    try:
        return UUID(given) if given else None
    except ValueError:
        msg = f"The tenant {given} is not an id."
        raise DiscoveryError(msg) from None


def _labels(given: list[str], *, with_hostname: bool) -> tuple[str, ...]:
    found = list(dict.fromkeys(given))
    if with_hostname and socket.gethostname() not in found:
        found.append(socket.gethostname())
    return tuple(found)


def _variables(given: list[str]) -> dict[str, str]:
    found = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            msg = f"--env {item} is not KEY=VALUE."
            raise DiscoveryError(msg)
        found[key] = value
    return found


def _complain(sentence: str) -> NoReturn:
    typer.echo(f"headwater-agent: {sentence}", err=True)
    raise typer.Exit(1)
