"""Which account the engines run as, and where their files can lie so that this account reaches them.

An ordinary user runs the engines as itself. PostgreSQL refuses to run as root, so under root both engines run as a user
and a group of their own: a number without an entry in /etc/passwd, from a range that is not assigned (systemd's
UIDS-GIDS). It is chosen once for a data folder, and recognised later by the owner of the store. So only the engines can
read their files. No account is created, and permissions of other folders are not changed: files that this user cannot
reach (for example a data folder or a virtual environment below /root) are kept or copied below /var/lib/headwater.

Only initdb needs an entry in /etc/passwd. It runs as `nobody` in the engines' own group, below a folder that only this
group may enter; then the owner of the store is changed. The stores of an older Headwater, which ran as `nobody`, get
the new owner before their next start.
"""

import os
import pwd
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from deploy.engines.errors import EngineError

SYSTEM_STORE = Path("/var/lib/headwater")
"""The folder for root's files that the engines' account could not reach elsewhere."""

_UNPRIVILEGED = "nobody"
_FIRST, _LAST = 60_706, 61_183


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user and a group to drop to; the name is for messages."""

    name: str
    uid: int
    gid: int

    @property
    def for_initdb(self) -> "Account":
        """The same group, and a user that /etc/passwd knows."""
        return self if _entry(self.uid) else replace(self, name=_UNPRIVILEGED, uid=_nobody().pw_uid)

    def take(self, path: Path) -> None:
        """Change the owner of the file or the whole folder; the folder itself last, so that its owner shows an
        interrupted change."""
        for folder, folders, files in os.walk(path, topdown=False):
            for name in (*folders, *files):
                os.chown(Path(folder) / name, self.uid, self.gid, follow_symlinks=False)
        os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def owns(self, path: Path) -> bool:
        """Whether the path exists and belongs to this user."""
        return path.exists() and path.stat().st_uid == self.uid

    def can_traverse(self, path: Path) -> bool:
        """Whether every folder from / down to `path` may be entered by this account."""
        return all(
            self._may(folder, stat.S_IXUSR) for folder in (path, *path.parents) if folder.exists()
        )

    def can_read(self, path: Path) -> bool:
        """Whether the file may be read by this account, folders included."""
        return self.can_traverse(path.parent) and self._may(path, stat.S_IRUSR)

    def _may(self, path: Path, owner_bit: int) -> bool:
        found = path.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & owner_bit)
        if found.st_gid == self.gid:
            return bool(found.st_mode & owner_bit >> 3)
        return bool(found.st_mode & owner_bit >> 6)


def choose_account(existing_store: Path | None = None) -> Account | None:
    """The account to drop to, or None for the current one.

    `existing_store` is data of an earlier start: its owner stays the same.
    """
    if os.geteuid() != 0:
        return None
    try:
        nobody = _nobody().pw_uid
    except KeyError as error:
        msg = (
            f"PostgreSQL refuses to run as root and this machine has no account for it ({error.args[0]}); "
            "run Headwater as an ordinary user."
        )
        raise EngineError(msg) from None
    if existing_store is not None and existing_store.exists():
        owner = existing_store.stat()
        if owner.st_uid not in (0, nobody):
            entry = _entry(owner.st_uid)
            return _account(entry) if entry else _of_its_own(owner.st_uid)
    return _of_its_own(_free_id())


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def _of_its_own(number: int) -> Account:
    return Account(name=f"of its own ({number})", uid=number, gid=number)


def _free_id() -> int:
    """A user id that no entry has and no process runs as."""
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {
        process.info["uids"].real
        for process in psutil.process_iter(["uids"])
        if process.info["uids"]
    }
    free = [number for number in range(_FIRST, _LAST + 1) if number not in taken]
    return secrets.choice(free)


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam(_UNPRIVILEGED)
