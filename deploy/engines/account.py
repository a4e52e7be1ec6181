"""Which account the engines run as, and where their files can lie so that this account reaches them.

An ordinary user runs the engines as itself. PostgreSQL refuses to run as root, so under root both engines run as an
account that exists everywhere and owns nothing, `nobody`. No account is created and no folder of anybody else is opened
up: what that account cannot reach (a data folder or a virtual environment below /root, say) is kept or copied below
/var/lib/headwater instead.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from deploy.engines.errors import EngineError

SYSTEM_STORE = Path("/var/lib/headwater")
"""Where root keeps what the engines' account could not reach elsewhere."""

_UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account to drop to."""

    name: str
    uid: int
    gid: int

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
    """The account to drop to, or None for the present one.

    `existing_store` is data of an earlier start: its owner goes on owning it.
    """
    if os.geteuid() != 0:
        return None
    try:
        if existing_store is not None and existing_store.exists():
            uid = existing_store.stat().st_uid
            if uid != 0:
                return _account(pwd.getpwuid(uid))
        return _account(pwd.getpwnam(_UNPRIVILEGED))
    except KeyError as error:
        msg = (
            f"PostgreSQL refuses to run as root and this machine has no account for it ({error.args[0]}); "
            "run Headwater as an ordinary user."
        )
        raise EngineError(msg) from None


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
