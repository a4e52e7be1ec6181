"""What an export says about itself, and the check of its files."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from deploy.digest import digest_of

FORMAT = 1
NAME = "manifest.json"


class TransferError(Exception):
    """It cannot be exported or imported; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """The rows of one table. `first` and `last` are the times of a history's rows, for its partitions."""

    name: str
    columns: list[str]
    rows: int
    digest: str
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`pepper`: its fingerprint, which tells whether secrets must be sealed anew."""

    format: int
    headwater: str
    migration: str
    taken_at: str
    tenant_id: str
    slug: str
    pepper: str
    tables: list[TableFile]

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(table.rows for table in self.tables)


def write(folder: Path, manifest: Manifest) -> None:
    """Write it as the last file: a folder without it is no export."""
    (folder / NAME).write_text(json.dumps(asdict(manifest), indent=2) + "\n")


def read(folder: Path) -> Manifest:
    """The manifest. TransferError when there is none that this Headwater can read."""
    try:
        found = json.loads((folder / NAME).read_text())
        if found["format"] != FORMAT:
            msg = (
                f"{folder} has format {found['format']} and this Headwater reads {FORMAT}; "
                "export it again with this version."
            )
            raise TransferError(msg)
        UUID(found["tenant_id"])
        return Manifest(**found | {"tables": [TableFile(**each) for each in found["tables"]]})
    except OSError:
        msg = f"{folder} is no export: it has no {NAME}. Name the folder that `headwater export` made."
        raise TransferError(msg) from None
    except (ValueError, TypeError, KeyError):
        msg = f"{folder / NAME} cannot be read; export again."
        raise TransferError(msg) from None


def check_files(
    folder: Path,
    manifest: Manifest,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Check every file's digest. TransferError names the first file that is not as it was written."""
    for number, table in enumerate(manifest.tables, 1):
        try:
            found = digest_of(file_of(folder, table.name))
        except OSError as error:
            msg = f"The export lacks the rows of {table.name} ({error.strerror}); export again."
            raise TransferError(msg) from None
        if found != table.digest:
            msg = f"The rows of {table.name} in the export were changed or damaged; export again."
            raise TransferError(msg)
        progress(number, len(manifest.tables))


def file_of(folder: Path, table: str) -> Path:
    """The file of a table's rows."""
    return folder / f"{table}.copy"


def fingerprint(pepper: bytes) -> str:
    """A digest that tells one pepper from another, and nothing more: peppers are long and drawn at random."""
    return hashlib.sha256(b"headwater pepper\0" + pepper).hexdigest()[:32]
