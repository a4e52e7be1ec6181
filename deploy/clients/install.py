"""Make or find the virtual environment of one client version."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements"
SHIMS = HERE / "shims"
TOOLS = REQUIREMENTS / "tools.txt"

STAMP = ".headwater-client"
UNFINISHED = "installing"

# Core <= 0.14 reads names that Python 3.10 removed from `collections`.
SHIMMED = frozenset({"0.14.22", "0.13.19", "0.12.6", "0.9.8", "0.8.1"})

Report = Callable[[str], None]


class ClientInstallError(Exception):
    """An environment could not be made; the text says what to do about it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that holds one client."""

    root: Path
    version: str

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def prefect(self) -> Path:
        return self.root / "bin" / "prefect"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe of an environment for one version."""

    version: str

    @property
    def requirements(self) -> Path:
        return REQUIREMENTS / f"prefect-{self.version}.txt"

    @property
    def shims(self) -> tuple[Path, ...]:
        return tuple(sorted(SHIMS.glob("*.p*"))) if self.version in SHIMMED else ()

    @property
    def pins(self) -> dict[str, str]:
        """Normalised package name to exact version."""
        text = self.requirements.read_text()
        return {
            _normal(name): version
            for name, version in re.findall(r"^([\w.-]+)==([^\s\\]+)", text, re.MULTILINE)
        }

    @property
    def digest(self) -> str:
        sha = hashlib.sha256()
        for part in (TOOLS, self.requirements, *self.shims):
            sha.update(part.read_bytes())
        return sha.hexdigest()


def versions() -> list[str]:
    """Every version with a recipe, newest first."""
    found = (path.stem.removeprefix("prefect-") for path in REQUIREMENTS.glob("prefect-*.txt"))
    return sorted(found, key=lambda v: [int(part) for part in v.split(".")], reverse=True)


def cache() -> Path:
    """The folder that holds environments made without a DEST."""
    if chosen := os.environ.get("HEADWATER_CLIENTS"):
        return Path(chosen).expanduser().resolve()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "headwater" / "clients"


def ensure(version: str, dest: Path | None = None, *, report: Report) -> Environment:
    """Return the environment of `version`; makes it first if it is missing or differs from the recipe.

    `report` receives a short line whenever there is something new to tell.
    """
    if version not in versions():
        known = ", ".join(versions())
        raise ClientInstallError(f"there is no recipe for prefect {version}; there are {known}")
    recipe = Recipe(version)
    root = (dest or cache() / f"prefect-{version}").absolute()
    environment = Environment(root, version)
    with _sole_installer(root, report):
        if _stamp_of(root) == recipe.digest and environment.python.exists():
            return environment
        if _holds_exactly(environment, recipe):
            _write_stamp(root, recipe.digest)
            return environment
        _make_room(root)
        _build(environment, recipe, report)
        _write_stamp(root, recipe.digest)
    return environment


def _build(environment: Environment, recipe: Recipe, report: Report) -> None:
    report(f"creating a Python 3.11 environment in {environment.root}")
    # Stamped while empty: after an interruption we know that the folder is ours to delete.
    environment.root.mkdir(exist_ok=True)
    _write_stamp(environment.root, UNFINISHED)
    command = [*_venv_maker(), str(environment.root)]
    _run(command, what="create a virtual environment", report=report)
    pip = [str(environment.python), "-m", "pip", "install", "--no-input", "--require-hashes"]
    report("bringing the pip of its time")
    _run([*pip, "-r", str(TOOLS)], what="install pip 23.3", report=lambda _chatter: None)
    _run(
        [*pip, "--no-deps", "-r", str(recipe.requirements)],
        what=f"install prefect {recipe.version}",
        report=_counted(report, total=len(recipe.pins)),
    )
    for shim in recipe.shims:
        shutil.copy(shim, _site_packages(environment))
    if not _holds_exactly(environment, recipe):
        raise ClientInstallError(
            f"{environment.root} does not hold the packages it should after the installation; "
            "delete the folder and try again"
        )


def _venv_maker() -> list[str]:
    """The command that makes a Python 3.11 environment, to be completed by its folder."""
    if sys.version_info[:2] == (3, 11) and _can_make_venvs(sys.executable):
        return [sys.executable, "-m", "venv"]
    found = shutil.which("python3.11")
    if found and _can_make_venvs(found):
        return [found, "-m", "venv"]
    options = ["venv", "--python", "3.11", "--seed", "--allow-existing"]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv", *options]
    if uv := shutil.which("uv"):
        return [uv, *options]
    raise ClientInstallError(
        "Prefect clients of 0.8 to 1.4 need Python 3.11 and there is none here that can make "
        "virtual environments; put a python3.11 on PATH, or `pip install uv` and it brings one"
    )


def _can_make_venvs(python: str) -> bool:
    """Whether it runs (a pyenv shim may not), is 3.11, and has the modules that Debian packages separately."""
    probe = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))"
    answer = subprocess.run(  # noqa: S603 - an interpreter found on PATH, with fixed arguments
        [python, "-c", probe], env=_clean_environment(), capture_output=True, check=False
    )
    return answer.returncode == 0


def _holds_exactly(environment: Environment, recipe: Recipe) -> bool:
    """Whether the environment has every pinned package, in its version, and the shims."""
    if not environment.python.exists():
        return False
    installed = {
        _normal(match[1]): match[2]
        for info in _site_packages(environment).glob("*.dist-info")
        if (match := re.fullmatch(r"(.+)-([^-]+)\.dist-info", info.name))
    }
    shimmed = all((_site_packages(environment) / shim.name).exists() for shim in recipe.shims)
    return shimmed and recipe.pins.items() <= installed.items()


def _make_room(root: Path) -> None:
    """Remove the remains of our earlier installation; refuse to change any other folder."""
    if not root.exists() or not any(root.iterdir()):
        return
    if _stamp_of(root) is None:
        raise ClientInstallError(
            f"{root} exists and is not a client environment made by this installer; "
            "choose another folder, or remove it yourself"
        )
    shutil.rmtree(root)


@contextmanager
def _sole_installer(root: Path, report: Report) -> Iterator[None]:
    """Hold the folder's lock; the kernel lets go of it even if we are killed."""
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        lock = (root.parent / f".{root.name}.lock").open("w")
    except OSError as error:
        raise ClientInstallError(
            f"cannot write to {root.parent} ({error.strerror}); point HEADWATER_CLIENTS at a "
            "folder that this user may write to"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another installation of the same client")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], *, what: str, report: Report) -> None:
    """Run to the end, reporting each line; on failure raise with the last lines."""
    tail: deque[str] = deque(maxlen=12)
    with subprocess.Popen(  # noqa: S603 - our own command line, no user input
        command,
        env=_clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        assert child.stdout is not None  # noqa: S101 - checked just above; for the type checker
        for line in child.stdout:
            tail.append(line.rstrip())
            report(line.strip())
    if child.returncode:
        raise ClientInstallError(
            f"could not {what}: `{' '.join(command[:4])} ...` ended with {child.returncode}. Is "
            "the package index reachable, is there room on the disk? Its last words:\n  "
            + "\n  ".join(tail)
        )


def _counted(report: Report, *, total: int) -> Report:
    """Turn pip's output into progress lines."""
    seen = 0

    def tell(line: str) -> None:
        nonlocal seen
        # "Processing" is a package that pip found in a folder and not on an index.
        if match := re.match(r"(?:Collecting|Processing) (\S+)", line):
            seen += 1
            report(f"package {seen} of {total}: {Path(match[1]).name}")
        elif line.startswith("Building wheel"):
            report(line.lower())
        elif line.startswith("Installing collected"):
            report(f"unpacking {total} packages")

    return tell


def _clean_environment() -> dict[str, str]:
    """Our environment, without variables that mislead another interpreter."""
    unwanted = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


def _site_packages(environment: Environment) -> Path:
    return environment.root / "lib" / "python3.11" / "site-packages"


def _stamp_of(root: Path) -> str | None:
    stamp = root / STAMP
    return stamp.read_text().strip() if stamp.exists() else None


def _write_stamp(root: Path, text: str) -> None:
    (root / STAMP).write_text(text + "\n")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
