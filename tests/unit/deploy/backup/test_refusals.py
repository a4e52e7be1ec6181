"""What of a backup is refused before anything is changed, each with a sentence that says what to do."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.backup import digests, manifest
from deploy.backup.manifest import Manifest
from deploy.engines import DataFolder, EngineError
from deploy.engines.programs import POSTGRES_MAJOR

SECRETS = {"postgres": "a", "gateway.key_pepper": "b"}
MANIFEST = Manifest(
    format=manifest.FORMAT,
    headwater="0.2.0",
    postgres=POSTGRES_MAJOR,
    taken_at="2026-12-01T00:00:00+00:00",
    bytes=1,
    fingerprints=manifest.fingerprints(SECRETS),
    wal={},
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base backup of one file and one piece of WAL, with PostgreSQL's own manifest."""
    base = tmp_path / "base"
    (base / "pg_wal").mkdir(parents=True)
    (base / "table").write_text("rows")
    (base / "pg_wal" / "1").write_text("wal")
    digest = hashlib.sha256(b"rows").hexdigest()
    files = f'{{ "Files": [\n{{ "Path": "table", "Checksum": "{digest}" }}\n],\n'
    own = hashlib.sha256(files.encode()).hexdigest()
    (base / "backup_manifest").write_text(f'{files}"Manifest-Checksum": "{own}"}}\n')
    return base


def test_a_whole_backup_is_counted(base: Path) -> None:
    assert digests.check(base, digests.wal_digests(base)) == 2


@pytest.mark.parametrize("name", ["table", "pg_wal/1"])
def test_a_changed_file_is_named(base: Path, name: str) -> None:
    wal = digests.wal_digests(base)
    (base / name).write_text("other")

    with pytest.raises(EngineError, match=f"{name} of the backup was changed or damaged"):
        digests.check(base, wal)


@pytest.mark.parametrize("name", ["table", "pg_wal/1", "backup_manifest"])
def test_a_missing_file_is_named(base: Path, name: str) -> None:
    wal = digests.wal_digests(base)
    (base / name).unlink()

    with pytest.raises(EngineError, match=f"lacks its (file )?{name}"):
        digests.check(base, wal)


def test_a_changed_list_of_files_is_noticed(base: Path) -> None:
    text = (base / "backup_manifest").read_text()
    (base / "backup_manifest").write_text(text.replace("table", "other"))

    with pytest.raises(EngineError, match="backup_manifest of the backup was changed"):
        digests.check(base, {})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"format": 2}, "has format 2 and this Headwater reads 1"),
        ({"postgres": "17"}, "is of PostgreSQL 17"),
    ],
)
def test_a_backup_of_another_kind_is_refused(
    tmp_path: Path, changed: dict[str, object], says: str
) -> None:
    manifest.write(tmp_path, replace(MANIFEST, **changed))  # type: ignore[arg-type]

    with pytest.raises(EngineError, match=says):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "is no backup"), ("{", "cannot be read"), ('{"format": 1}', "cannot be read")],
)
def test_what_is_no_backup_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / manifest.NAME).write_text(text)

    with pytest.raises(EngineError, match=says):
        manifest.read(tmp_path)


def test_a_backup_says_what_was_written(tmp_path: Path) -> None:
    manifest.write(tmp_path, MANIFEST)

    assert manifest.read(tmp_path) == MANIFEST


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read"),
        ("[]", "does not hold the secrets"),
        ("{", "does not hold the secrets"),
        (json.dumps(SECRETS | {"postgres": "other"}), "holds other secrets"),
        (json.dumps({"postgres": "a"}), "holds other secrets"),
    ],
)
def test_secrets_of_another_headwater_are_refused(
    tmp_path: Path, text: str | None, says: str
) -> None:
    file = tmp_path / "secrets.json"
    if text is not None:
        file.write_text(text)

    with pytest.raises(EngineError, match=says) as refused:
        manifest.read_secrets(file, MANIFEST)

    assert "--secrets" in str(refused.value)


def test_an_interrupted_restore_must_be_done_again_before_a_start(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    with pytest.raises(RuntimeError), folder.restoring():
        raise RuntimeError

    with pytest.raises(EngineError, match="was interrupted; do it again"):
        folder.claim()
    folder.claim(restoring=True)
    with folder.restoring():
        pass
    folder.release()
    folder.claim()
    folder.release()
