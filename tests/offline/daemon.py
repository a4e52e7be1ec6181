"""A Docker daemon: the one that answers, else one of our own."""

import atexit
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

FOLDER = Path(
    os.environ.get("HEADWATER_OFFLINE") or Path.home() / ".cache" / "headwater" / "offline"
)
_START_WITHIN = 60.0  # seconds; a daemon that was killed cleans up first
_STOP_WITHIN = 30.0
_children: list["subprocess.Popen[bytes]"] = []
"""The daemon that this process started, kept so that it can be reaped; it outlives us all the same."""
_uses: list[IO[bytes]] = []
"""The lock that says that this process uses our daemon; the kernel takes it back however the process ends."""
# Whoever else installs something is waited for, and a connection that breaks is made again.
_APT = ("-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")
_PACKAGES = ("docker.io", "docker-compose", "debootstrap", "iptables", "ca-certificates")


class NoDockerError(Exception):
    """There is no Docker and none can be started; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """A daemon that answers. `environment` makes `docker` and compose speak to it."""

    environment: dict[str, str] = field(repr=False)
    is_ours: bool
    """Whether it is the one of `FOLDER`; `stop` leaves any other alone."""

    def run(
        self, *arguments: str, stdin: bytes | None = None, timeout: float = 600, check: bool = True
    ) -> str:
        """One docker command; its output. A failure is a CalledProcessError whose note is what docker said."""
        return run(["docker", *arguments], self.environment, stdin=stdin, timeout=timeout, check=check)  # fmt: skip

    def has_image(self, name: str) -> bool:
        """Whether the image is here."""
        return bool(self.run("image", "ls", "--quiet", name).strip())

    def stop(self) -> None:
        """Leave the daemon; if it is ours and nobody else uses it, it ends. Its images stay."""
        if self.is_ours:
            _leave()


def run(
    command: Sequence[str],
    environment: dict[str, str] | None = None,
    *,
    stdin: bytes | None = None,
    timeout: float = 600,
    check: bool = True,
) -> str:
    """Run a program, with what it said in the error if it fails."""
    done = subprocess.run(  # noqa: S603 - fixed programs, no shell
        command,
        env={**os.environ, **(environment or {})},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    if check and done.returncode != 0:
        error = subprocess.CalledProcessError(done.returncode, list(command), said)
        error.add_note(said[-4000:])
        raise error
    return said


def apt_install(*packages: str) -> None:
    """Debian's packages, by root."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", *_APT, "update"], quiet, timeout=900)
    run(
        ["apt-get", *_APT, "install", "-y", "--no-install-recommends", *packages],
        quiet,
        timeout=1200,
    )


def docker() -> Docker:
    """A daemon that answers, started if need be; `Docker.stop` when it is no longer needed."""
    if _answers({}):
        return Docker(environment={}, is_ours=False)
    environment = {"DOCKER_HOST": f"unix://{_socket()}", "DOCKER_BUILDKIT": "0"}
    found = Docker(environment=environment, is_ours=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = (FOLDER / "users").open("wb")
    is_alone = _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if not is_alone:
        # Whoever is alone starts the daemon and cleans it; the others wait here until that is done.
        fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        if not _answers(environment):
            _install()
            _start(environment)
        if is_alone and not _kept().exists():
            _clean(found)
    except BaseException:
        if is_alone and not _kept().exists():
            _end()
        lock.close()
        raise
    fcntl.flock(lock, fcntl.LOCK_SH)
    _uses.append(lock)
    atexit.register(_leave)  # for whoever fails before it comes to `Docker.stop`
    return found


def keep() -> None:
    """Let the daemon run on when its users are gone, with what they made, until `stop`."""
    _kept().touch()


def stop() -> None:
    """End our daemon, whoever uses it."""
    _kept().unlink(missing_ok=True)
    _end()


def _leave() -> None:
    while _uses:
        lock = _uses.pop()
        if not _uses and not _kept().exists() and _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _end()
        lock.close()


def _locked(lock: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(lock, how)
    except BlockingIOError:
        return False
    return True


def _clean(docker: Docker) -> None:
    """Remove what a run left that was killed: nobody else uses this daemon, and images are all that it keeps."""
    left = docker.run("ps", "--all", "--quiet").split()
    if left:
        docker.run("rm", "--force", "--volumes", *left)
    docker.run("network", "prune", "--force")
    volumes = docker.run("volume", "ls", "--quiet").split()
    if volumes:
        docker.run("volume", "rm", "--force", *volumes)


def _end() -> None:
    try:
        pid = int((FOLDER / "docker.pid").read_text())
    except (FileNotFoundError, ValueError):
        return
    if not _is_dockerd(pid):
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_WITHIN
    while _is_dockerd(pid):
        if time.monotonic() > deadline:
            msg = f"dockerd (process {pid}) does not end; see {_log()}."
            raise NoDockerError(msg)
        time.sleep(0.1)
    for child in _children:
        child.wait(timeout=_STOP_WITHIN)
    _children.clear()


def _is_dockerd(pid: int) -> bool:
    try:
        # A zombie has no command line: it has ended, and only waits to be reaped.
        return b"dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _socket() -> Path:
    return FOLDER / "docker.sock"


def _kept() -> Path:
    return FOLDER / "kept"


def _log() -> Path:
    return FOLDER / "dockerd.log"


def _answers(environment: dict[str, str]) -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        run(["docker", "version", "--format", "{{.Server.Version}}"], environment, timeout=20)
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def _install() -> None:
    missing = [name for name in ("dockerd", "docker", "debootstrap") if shutil.which(name) is None]
    if os.geteuid() != 0:
        msg = "no Docker daemon answers, and only root can start one"
        raise NoDockerError(msg)
    if not missing:
        return
    if shutil.which("apt-get") is None:
        msg = f"no Docker daemon answers, and {', '.join(missing)} cannot be installed without apt-get"
        raise NoDockerError(msg)
    try:
        apt_install(*_PACKAGES)
    except (subprocess.SubprocessError, OSError) as error:
        msg = f"no Docker daemon answers, and Debian's docker.io cannot be installed: {error}"
        raise NoDockerError(msg) from error


def _start(environment: dict[str, str]) -> None:
    with _log().open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
            [  # noqa: S607 - wherever the package put it
                "dockerd",
                *("--data-root", str(FOLDER / "docker")),
                *("--exec-root", str(FOLDER / "exec")),
                *("--pidfile", str(FOLDER / "docker.pid")),
                *("--host", environment["DOCKER_HOST"]),
                *("--log-level", "warn"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _children.append(process)
    deadline = time.monotonic() + _START_WITHIN
    while not _answers(environment):
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            last = "\n".join(_log().read_text(errors="replace").splitlines()[-5:])
            msg = f"dockerd does not start here:\n{last}\n(all of it is in {_log()})"
            raise NoDockerError(msg)
        time.sleep(0.2)
