"""The data folder: `HEADWATER_DATA`, all data of an embedded Headwater.

lock             held (flock) as long as Headwater runs; names the process for the message to a second one
ports.json       the ports of the last start, kept if they are still free
secrets.json     passwords, made once (0600)
home             where the stores are, if they could not be in here (`account`)
logs/            the logs of the engines and the services
restoring        there from the beginning to the end of a restore's changes
engines/         postgres/ and nats/: the stores; *.pid: what runs, to find orphans by
"""

import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.engines.account import SYSTEM_STORE, Account, choose_account
from deploy.engines.errors import EngineError, explain_os_error

_FIRST_PORT, _LAST_PORT = 15_000, 31_000
"""Below the ephemeral range, so that no outgoing connection takes the port of an engine that is down."""

_OWNER = "belongs-to"
"""In a store that is not in its data folder: the path of that folder."""

_RESTORING = "restoring"
"""There while a restore changes the folder."""

_LOG_LIMIT = 20 << 20
"""Bytes; a larger log is set aside once at start, so that logs take at most twice this."""


class DataFolder:
    """One data folder. `claim` it before writing to it."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock: int | None = None

    # --- one Headwater at a time -------------------------------------------------------------------------------------

    def make(self) -> None:
        """Make the folder if need be."""
        try:
            if not self.path.exists():
                self.path.mkdir(parents=True)
                # Under root the engines' account must be able to pass through to its own folders.
                self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self.logs.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise explain_os_error(error, path=self.path, wanted="write to") from None

    def claim(self, *, restoring: bool = False) -> None:
        """Make the folder if need be and lock it until `release` or the end of this process.

        Refused after a restore that was interrupted, except for another restore.
        """
        self.make()
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise explain_os_error(error, path=self.path, wanted="write to") from None
        if not _locked(lock):
            os.close(lock)
            raise EngineError(self._already_running())
        if self.is_restoring() and not restoring:
            os.close(lock)
            msg = f"A restore into {self.path} was interrupted; do it again (headwater restore)."
            raise EngineError(msg)
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        except OSError as error:
            os.close(lock)
            raise explain_os_error(error, path=self.path, wanted="write to") from None
        self._lock = lock

    def release(self) -> None:
        """Let another Headwater have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def holder(self) -> int | None:
        """The process that has claimed the folder, if one has: asks the kernel, so a dead process never counts."""
        try:
            lock = os.open(self.path / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise explain_os_error(error, path=self.path, wanted="read") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.pread(lock, 20, 0) or b"0")
        else:
            return None
        finally:
            os.close(lock)

    def _already_running(self) -> str:
        return (
            f"Headwater is already running on {self.path} (process {self.holder() or 'unknown'}); "
            "stop it with `make down`, or set HEADWATER_DATA to another folder."
        )

    # --- what is being restored ---------------------------------------------------------------------------------------

    def is_restoring(self) -> bool:
        """Whether a restore has begun to change the folder and has not ended."""
        return (self.path / _RESTORING).exists()

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Changes that must all be made before a start; the mark stays if they are interrupted or fail."""
        write_private(self.path / _RESTORING, "")
        yield
        (self.path / _RESTORING).unlink()

    # --- what it keeps -----------------------------------------------------------------------------------------------

    @property
    def logs(self) -> Path:
        """Where logs go."""
        return self.path / "logs"

    def log(self, name: str) -> Path:
        """The log of one program."""
        return self.logs / f"{name}.log"

    def turn_over_log(self, name: str) -> None:
        """Set an overlong log aside."""
        log = self.log(name)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))

    def all_secrets(self) -> dict[str, str]:
        """All passwords that were made."""
        return {name: str(value) for name, value in self._read_json("secrets.json").items()}

    def secret(
        self, name: str, *, draw: Callable[[], str] = lambda: secrets.token_urlsafe(24)
    ) -> str:
        """The password called `name`, made at the first asking."""
        known = self._read_json("secrets.json")
        if name not in known:
            known[name] = draw()
            self._write_json("secrets.json", known)
        return str(known[name])

    def forget_secrets(self, group: str) -> int:
        """Have the secrets `group` and `group.*` made anew at the next asking; returns how many there were."""
        known = self._read_json("secrets.json")
        kept = {
            name: value
            for name, value in known.items()
            if name != group and not name.startswith(f"{group}.")
        }
        if len(kept) < len(known):
            self._write_json("secrets.json", kept)
        return len(known) - len(kept)

    def port(self, name: str, *, not_this: int | None = None) -> int:
        """The port of an engine: the last one if it is free (and not `not_this`), else a new one, remembered."""
        known = self._read_json("ports.json")
        port = known.get(name)
        if not isinstance(port, int) or port == not_this or not is_free(port):
            taken = {number for number in known.values() if isinstance(number, int)}
            port = free_port(exclude=taken)
            self._write_json("ports.json", known | {name: port})
        return port

    def engines_home(self) -> tuple[Path, Account | None]:
        """The folder of both stores, made if need be, and the account that the engines run as."""
        recorded = self.path / "home"
        home = Path(recorded.read_text().strip()) if recorded.exists() else self.path / "engines"
        # A start that was interrupted in initdb leaves no store, but other folders of its account.
        left = (home / name for name in ("postgres", "run", "nats"))
        account = choose_account(next((store for store in left if store.exists()), None))
        if account is not None and not account.can_traverse(self.path):
            if not recorded.exists():
                sweep_temporary(SYSTEM_STORE)
                home = SYSTEM_STORE / f"{_slug(self.path)}-{secrets.token_hex(4)}"
                recorded.write_text(f"{home}\n")
            if not account.can_traverse(home):
                msg = (
                    f"The account {account.name}, which PostgreSQL runs as under root, can reach neither {self.path} "
                    f"nor {home}; set HEADWATER_DATA to a folder below a public one, such as /srv."
                )
                raise EngineError(msg)
        try:
            for folder in (home.parent, home):
                if not folder.exists():
                    # The first start of another data folder may make their parent at the same time.
                    folder.mkdir(parents=True, exist_ok=True)
                    folder.chmod(0o700 if account is None else 0o711)
            if account is not None:
                # From an older version it may be readable by all users.
                os.chown(home, -1, account.gid)
                home.chmod(0o710)
            if home != self.path / "engines":
                (home / _OWNER).write_text(f"{self.path}\n")
        except OSError as error:
            raise explain_os_error(error, path=home, wanted="create") from None
        return home, account

    def _read_json(self, name: str) -> dict[str, object]:
        path = self.path / name
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            msg = f"Cannot read {path} ({error}); restore it, or move {self.path} away to start afresh."
            raise EngineError(msg) from None
        if not isinstance(found, dict):
            msg = f"{path} does not hold what Headwater wrote; restore it, or move {self.path} away to start afresh."
            raise EngineError(msg)
        return found

    def _write_json(self, name: str, content: dict[str, object]) -> None:
        write_private(self.path / name, json.dumps(content, indent=2) + "\n")


def _locked(lock: int) -> bool:
    """Take the lock. Tries for half a second, since `holder` of another process takes it for an instant."""
    for _ in range(10):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def write_private(path: Path, text: str, *, owner: Account | None = None) -> None:
    """Write a file that only its owner may read, in one step: a reader sees the old text or the new."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        if owner is not None:
            os.chown(fresh, owner.uid, owner.gid)
        fresh.replace(path)
    except OSError as error:
        raise explain_os_error(error, path=path, wanted="write") from None


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # With SO_REUSEADDR, as servers do: connections of the last server in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
        return True


def free_port(*, exclude: Set[int] = frozenset()) -> int:
    """A port of 127.0.0.1 that nobody listens on; random, so that two first starts hardly meet."""
    for _ in range(200):
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT)
        if port not in exclude and is_free(port):
            return port
    msg = f"Found no free port between {_FIRST_PORT} and {_LAST_PORT} on 127.0.0.1; stop some servers first."
    raise EngineError(msg)


def data_of(stores: Path) -> dict[Path, Path]:
    """Each store outside of its data folder, with that folder."""
    found: dict[Path, Path] = {}
    for owner in stores.glob(f"*/{_OWNER}"):
        # Another start may sweep at the same time.
        with suppress(FileNotFoundError):
            found[owner.parent] = Path(owner.read_text().strip())
    return found


def sweep_temporary(stores: Path) -> None:
    """Remove the stores of deleted temporary data folders, such as those of tests.

    Only of temporary ones: another folder may be missing because its disk is not mounted.
    """
    for store, data in data_of(stores).items():
        recorded = data / "home"
        is_used = recorded.exists() and recorded.read_text().strip() == str(store)
        if data.is_relative_to(tempfile.gettempdir()) and not is_used:
            shutil.rmtree(store, ignore_errors=True)


def _slug(path: Path) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "-", str(path))[-40:].strip("-") or "data"
