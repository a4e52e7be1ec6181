"""Which folders the engines' account can reach."""

from pathlib import Path

import pytest

from deploy.engines.account import Account


def an_account(*, uid: int = 54_321, gid: int = 54_321) -> Account:
    return Account(name="somebody", uid=uid, gid=gid)


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """A folder that everybody may pass through; pytest and its workers close their own."""
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o711)
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    for each in (tmp_path, folder.parent, folder):
        each.chmod(0o711)
    return folder


def test_an_open_path_can_be_traversed(reachable: Path) -> None:
    assert an_account().can_traverse(reachable)


def test_one_closed_folder_on_the_way_is_enough(reachable: Path) -> None:
    reachable.parent.chmod(0o700)

    assert not an_account().can_traverse(reachable)


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parents(reachable: Path) -> None:
    assert an_account().can_traverse(reachable / "to" / "come")


def test_the_owner_is_judged_by_the_owners_rights(reachable: Path) -> None:
    owner = reachable.stat()
    reachable.chmod(0o611)

    assert not an_account(uid=owner.st_uid).can_traverse(reachable)
    assert an_account().can_traverse(reachable)


def test_the_group_is_judged_by_the_groups_rights(reachable: Path) -> None:
    group = reachable.stat().st_gid
    reachable.chmod(0o701)

    assert not an_account(gid=group).can_traverse(reachable)


def test_a_file_must_be_readable_too(reachable: Path) -> None:
    file = reachable / "file"
    file.write_text("x")
    file.chmod(0o600)

    assert not an_account().can_read(file)
    file.chmod(0o644)
    assert an_account().can_read(file)
