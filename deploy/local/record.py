"""`running.json` in the data folder: facts about a running Headwater for `up`, `status` and `down`.

Valid only while its process holds the folder's lock; the file of a dead process is ignored.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.engines import DataFolder
from deploy.engines.folder import write_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Written once Headwater answers."""

    pid: int
    url: str
    home: str
    postgres_port: int
    nats_port: int
    processes: bool
    keys_required: bool = False
    """Whether callers must show an API key, to the API and to nats-server."""


def write(folder: DataFolder, record: Record) -> None:
    """Write that Headwater answers."""
    write_private(_path(folder), json.dumps(asdict(record), indent=2) + "\n")


def clear(folder: DataFolder) -> None:
    """Remove the record."""
    _path(folder).unlink(missing_ok=True)


def read(folder: DataFolder) -> Record | None:
    """The record of the Headwater that runs on this folder and answers."""
    try:
        found = Record(**json.loads(_path(folder).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.pid == folder.holder() else None


def _path(folder: DataFolder) -> Path:
    return folder.path / "running.json"
