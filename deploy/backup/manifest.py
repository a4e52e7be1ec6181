"""What a backup says about itself."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.engines import EngineError
from deploy.engines.programs import POSTGRES_MAJOR

FORMAT = 1
NAME = "backup.json"
BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`fingerprints`: of each secret by name. They tell a wrong file of secrets, and nothing about the right one.
    `wal`: the digests of the WAL by path; PostgreSQL's own manifest has those of all other files."""

    format: int
    headwater: str
    postgres: str
    taken_at: str
    bytes: int
    fingerprints: dict[str, str]
    wal: dict[str, str]


def write(folder: Path, manifest: Manifest) -> None:
    """Write it; a backup without it is none."""
    (folder / NAME).write_text(json.dumps(asdict(manifest), indent=2) + "\n")


def read(folder: Path) -> Manifest:
    """The manifest of a backup that this Headwater can use. EngineError says why it cannot."""
    try:
        found = Manifest(**json.loads((folder / NAME).read_text()))
    except OSError:
        msg = f"{folder} is no backup: it has no {NAME}. Name the folder that `headwater backup create` made."
        raise EngineError(msg) from None
    except (ValueError, TypeError):
        msg = f"{folder / NAME} cannot be read; take another backup, or fetch this one again."
        raise EngineError(msg) from None
    if found.format != FORMAT:
        msg = (
            f"{folder} has format {found.format} and this Headwater reads {FORMAT}; "
            f"use the one that made it ({found.headwater})."
        )
        raise EngineError(msg)
    if found.postgres != POSTGRES_MAJOR:
        msg = (
            f"{folder} is of PostgreSQL {found.postgres} and this Headwater brings {POSTGRES_MAJOR}; "
            f"restore it with Headwater {found.headwater}."
        )
        raise EngineError(msg)
    return found


def read_secrets(file: Path, manifest: Manifest) -> dict[str, str]:
    """The secrets of the backup. EngineError if the file is of another one."""
    try:
        found = json.loads(file.read_text())
        secrets = {str(name): str(value) for name, value in found.items()}
    except OSError as error:
        msg = (
            f"The secrets {file} cannot be read ({error.strerror}); name their file with --secrets."
        )
        raise EngineError(msg) from None
    except (ValueError, AttributeError):
        msg = (
            f"{file} does not hold the secrets of a Headwater; name the right file with --secrets."
        )
        raise EngineError(msg) from None
    if fingerprints(secrets) != manifest.fingerprints:
        msg = f"{file} holds other secrets than those of this backup; name the right file with --secrets."
        raise EngineError(msg)
    return secrets


def fingerprints(secrets: Mapping[str, str]) -> dict[str, str]:
    """A digest of each secret. They are drawn at random with 192 bits, so none can be guessed from it."""
    return {
        name: hashlib.sha256(f"{name}\0{value}".encode()).hexdigest()[:32]
        for name, value in sorted(secrets.items())
    }
