"""The data folder: its lock, its ports, its secrets."""

import os
import socket
import stat
from pathlib import Path

import pytest

from deploy.engines import DataFolder, EngineError
from deploy.engines.folder import free_port, is_free, write_private


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    found = DataFolder(tmp_path / "data")
    found.make()
    return found


def test_a_folder_has_no_holder_until_it_is_claimed(folder: DataFolder) -> None:
    before = folder.holder()

    folder.claim()

    during = folder.holder()
    folder.release()
    assert (before, during, folder.holder()) == (None, os.getpid(), None)


def test_a_claimed_folder_cannot_be_claimed_again(folder: DataFolder) -> None:
    folder.claim()

    with pytest.raises(EngineError, match=rf"already running .*\(process {os.getpid()}\)"):
        DataFolder(folder.path).claim()

    folder.release()


def test_what_the_last_holder_wrote_is_not_believed(folder: DataFolder) -> None:
    (folder.path / "lock").write_text("1")

    assert folder.holder() is None


def test_a_secret_is_made_once(folder: DataFolder) -> None:
    first = folder.secret("postgres")

    assert DataFolder(folder.path).secret("postgres") == first
    assert folder.secret("nats") != first
    assert len(first) >= 32


def test_a_group_of_secrets_is_made_anew_and_no_other(folder: DataFolder) -> None:
    groups = ("nats", "nats.runs", "natsy", "postgres")
    before = [folder.secret(name) for name in groups]

    forgotten = folder.forget_secrets("nats")

    after = [folder.secret(name) for name in groups]
    assert forgotten == 2
    assert [old == new for old, new in zip(before, after, strict=True)] == [
        False,
        False,
        True,
        True,
    ]


def test_secrets_are_for_their_owner_only(folder: DataFolder) -> None:
    folder.secret("postgres")

    assert stat.S_IMODE((folder.path / "secrets.json").stat().st_mode) == 0o600


def test_a_port_is_kept_while_it_is_free(folder: DataFolder) -> None:
    first = folder.port("postgres")

    assert folder.port("postgres") == first
    assert folder.port("nats") != first


def test_a_port_that_somebody_took_is_changed_for_good(folder: DataFolder) -> None:
    first = folder.port("postgres")
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
        other.listen()

        second = folder.port("postgres")

    assert second != first
    assert folder.port("postgres") == second


def test_ports_are_below_the_ephemeral_range() -> None:
    assert all(15_000 <= free_port() < 32_768 for _ in range(50))


def test_a_port_is_free_until_somebody_listens() -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()

        taken = is_free(port)

    assert (taken, is_free(port)) == (False, True)


def test_a_private_file_is_replaced_in_one_step_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_text("old")

    write_private(target, "new")

    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["secret"]


@pytest.mark.parametrize("damage", ["{ not json", "[]"])
def test_damaged_secrets_are_refused_rather_than_made_anew(folder: DataFolder, damage: str) -> None:
    (folder.path / "secrets.json").write_text(damage)

    with pytest.raises(EngineError, match=r"secrets\.json"):
        folder.secret("postgres")

    assert (folder.path / "secrets.json").read_text() == damage


def test_an_overlong_log_is_set_aside_once(folder: DataFolder) -> None:
    log = folder.log("postgres")
    log.write_bytes(b"x" * ((20 << 20) + 1))

    folder.turn_over_log("postgres")
    folder.turn_over_log("postgres")

    assert not log.exists()
    assert [file.name for file in folder.logs.iterdir()] == ["postgres.log.1"]
