"""The executor that starts containers, on a Docker daemon, through docker-py (the extra `headwater-agent[docker]`).

The container replaces the shell in `folder`: a thread of the agent follows it, appends its output to `output`, and
writes `exit` when it has ended. The thread ends with the agent, the container does not; the next agent finds it by its
labels and reads on where the file ends. dockerd keeps unread output, so nothing blocks a run.

docker-py because Prefect itself uses it: keywords of `host_config`, credentials of registries and DOCKER_* variables
mean the same. Its calls block, so each is made in a thread; a daemon thread, because a pull may take longer than we
wait.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, NotFound
from pydantic import ValidationError

from .container import (
    AGENT_LABEL,
    LEASE_LABEL,
    RUN_LABEL,
    Container,
    DockerOptions,
    container,
    registry_to_pull_from,
)
from .environment import Surroundings, UnstartableError, Version, parse_version
from .folder import CONTAINER, VANISHED, RunFolder, StateFolder
from .say import Say
from .wire import ClaimedRun

T = TypeVar("T")

_ASK_AGAIN = 1.0
"""Seconds before the next call to a daemon that did not answer."""
_CALL_WITHIN = 60
"""Seconds for one call to the daemon, as in DockerAgent."""
_REMOVALS = 30
"""Attempts to remove a container."""


class DaemonError(Exception):
    """The Docker daemon cannot be used; the text says why."""


@dataclass(slots=True, kw_only=True, eq=False)
class Containers:
    """Containers of one agent. `owner` is written on them; no two agents of one daemon share it."""

    api: Any
    options: DockerOptions
    surroundings: Surroundings
    owner: str
    daemon: Version
    say: Say
    noun: str = CONTAINER
    version: str | None = None
    _ids: dict[Path, str] = field(default_factory=dict)

    async def prepare(self, folder: RunFolder) -> bool:
        spec = container(
            folder.record.run,
            self.surroundings,
            self.options,
            owner=self.owner,
            inherited=os.environ,
            daemon=self.daemon,
        )
        if registry_to_pull_from(spec.image, self.options) is not None:
            self.say(f"pulling {spec.image}")
        self._ids[folder.path] = await in_thread(lambda: self._create(spec))
        return True

    async def start(self, folder: RunFolder) -> str:
        id_ = self._ids[folder.path]
        await in_thread(lambda: _refusing(lambda: self.api.start(container=id_)))
        self._follow(folder, id_)
        return f"Container ID: {id_}"

    def find(self, state: StateFolder) -> Iterator[RunFolder]:
        """Runs by their folders, or by their containers when the folder is gone."""
        ours = self._ours()
        for folder in state.found(noun=self.noun):
            id_ = ours.pop(str(folder.record.run.lease_token), None)
            if id_ is None and folder.written_exit() is None:
                # There was never a container, or it was removed by hand.
                folder.write_exit(VANISHED)
            elif id_ is not None:
                self._adopt(folder, id_)
            yield folder
        for id_ in ours.values():
            if (run := self._run_of(id_)) is not None:
                folder = state.add(run, noun=self.noun)
                self._adopt(folder, id_)
                yield folder

    def exit_code(self, folder: RunFolder) -> int | None:
        return folder.written_exit()

    async def is_alive(self, folder: RunFolder) -> bool:
        id_ = self._ids.get(folder.path)
        if id_ is None or folder.written_exit() is not None:
            return False
        try:
            found = await in_thread(lambda: self.api.inspect_container(id_))
        except (DockerException, OSError):
            return False  # without an answer of the daemon no ping is sent
        return bool(found["State"]["Running"])

    async def signal(self, folder: RunFolder, number: signal.Signals) -> None:
        id_ = self._ids.get(folder.path)
        if id_ is not None:
            # It has ended, or the next, harder signal tries again.
            with suppress(DockerException, OSError):
                await in_thread(lambda: self.api.kill(id_, signal=number.name))

    async def remove(self, folder: RunFolder) -> None:
        """The folder is removed last: with it the next agent knows what was forwarded, and removes the rest."""
        id_ = self._ids.pop(folder.path, None)
        if id_ is not None:
            for _ in range(_REMOVALS):
                if await in_thread(lambda: self._removed(id_)):
                    break
                await asyncio.sleep(_ASK_AGAIN)
            else:
                self.say(f"container {id_[:12]} could not be removed; the next start tries again")
                return
        folder.remove()

    # the daemon's side

    def _create(self, spec: Container) -> str:
        return _refusing(lambda: self._created(spec))

    def _created(self, spec: Container) -> str:
        """As DockerAgent.deploy_flow up to the start."""
        said = self._pull(spec.image)
        for name in self.options.volumes.names:
            self._ensure_volume(name)
        networks = self.options.networks
        networking = (
            self.api.create_networking_config({networks[0]: self.api.create_endpoint_config()})
            if networks
            else None
        )
        try:
            host_config = self.api.create_host_config(**spec.host_config)
        except (TypeError, ValueError, DockerException) as error:
            msg = f"The `host_config` of the run's DockerRun cannot be used: {error}"
            raise UnstartableError(msg) from error
        try:
            id_ = self._created_under_free_name(spec, host_config, networking)
        except NotFound as error:
            msg = f"{error.explanation}{f' ({said})' if said else ''}"
            raise UnstartableError(msg) from error
        try:
            for network in networks[1:]:
                self.api.connect_container_to_network(container=id_, net_id=network)
        except BaseException:
            self._removed(id_)
            raise
        return id_

    def _created_under_free_name(self, spec: Container, host_config: Any, networking: Any) -> str:
        name, taken = spec.name, 0
        while True:
            try:
                created = self.api.create_container(
                    spec.image,
                    command=spec.command,
                    environment=dict(spec.environment),
                    name=name,
                    volumes=list(self.options.volumes.mounts),
                    host_config=host_config,
                    networking_config=networking,
                    labels=dict(spec.labels),
                    ports=spec.ports,
                )
            except APIError as error:
                if error.status_code != 409 or "container name" not in str(error):
                    raise
                taken += 1
                name = f"{spec.name}-{taken}"
            else:
                return str(created["Id"])

    def _pull(self, image: str) -> str:
        """Pull it when DockerAgent would. Returns the daemon's error, because the image may be there all the same."""
        if registry_to_pull_from(image, self.options) is None:
            return ""
        said = ""
        for line in self.api.pull(image, stream=True, decode=True):
            said = str(line.get("error") or said)
        return said

    def _ensure_volume(self, name: str) -> None:
        try:
            self.api.inspect_volume(name=name)
        except APIError:
            self.api.create_volume(name=name, driver="local", labels={"prefect_created": "true"})

    def _removed(self, id_: str) -> bool:
        """Whether it is removed now; a running one is killed first."""
        try:
            self.api.remove_container(id_, v=True, force=True)
        except NotFound:
            return True
        except APIError as error:
            return error.status_code == 409 and "already in progress" in str(error)
        except (DockerException, OSError):
            return False
        return True

    # adoption

    def _ours(self) -> dict[str, str]:
        """Ids of this agent's containers by lease token."""
        found = self.api.containers(all=True, filters={"label": [f"{AGENT_LABEL}={self.owner}"]})
        return {each["Labels"].get(LEASE_LABEL, each["Id"]): each["Id"] for each in found}

    def _run_of(self, id_: str) -> ClaimedRun | None:
        try:
            labels = self.api.inspect_container(id_)["Config"]["Labels"]
            return ClaimedRun.model_validate_json(labels[RUN_LABEL])
        except (KeyError, ValidationError, NotFound):
            return None

    def _adopt(self, folder: RunFolder, id_: str) -> None:
        self._ids[folder.path] = id_
        if folder.written_exit() is None:
            self._follow(folder, id_)

    # following

    def _follow(self, folder: RunFolder, id_: str) -> None:
        work = threading.Thread(
            target=self._followed, args=(folder, id_), daemon=True, name=id_[:12]
        )
        work.start()

    def _followed(self, folder: RunFolder, id_: str) -> None:
        """Follow the container until its end is written down; waits for a daemon that is away."""
        pause = threading.Event()
        while True:
            try:
                code = self._end_of(folder, id_)
            except NotFound:
                code = VANISHED
            except (DockerException, OSError):
                pause.wait(_ASK_AGAIN)
                continue
            with suppress(OSError):  # the folder was removed: no reader is left
                folder.write_exit(code)
            return

    def _end_of(self, folder: RunFolder, id_: str) -> int:
        """Copy its output until it ends; returns the exit code. Raises NotFound for one that is gone."""
        state = self.api.inspect_container(id_)["State"]
        if state["Status"] == "created":
            return VANISHED  # its agent died before the start, and no other agent will start it
        self._copy(folder, id_, follow=True)
        code = int(self.api.wait(id_, timeout=None)["StatusCode"])
        # Docker before 23 often stops following before the last line of an ended container: read the missing rest.
        with suppress(NotFound):  # it was removed by hand meanwhile; the exit code is known
            self._copy(folder, id_, follow=False)
        return code

    def _copy(self, folder: RunFolder, id_: str, *, follow: bool) -> None:
        """Append to `output` what is not there yet: the daemon gives a container's log in the same bytes each time."""
        try:
            chunks = self.api.logs(
                container=id_, stdout=True, stderr=True, stream=True, follow=follow
            )
        except APIError as error:
            if isinstance(error, NotFound) or "reading" not in str(error):
                raise
            # The daemon's log driver keeps nothing to read; the exit code is known all the same.
            return
        with (folder.path / "output").open("ab") as output:
            known = output.tell()
            for chunk in chunks:
                fresh = chunk[known:]
                known = max(0, known - len(chunk))
                if fresh:
                    output.write(fresh)
                    output.flush()


def connected(
    options: DockerOptions, surroundings: Surroundings, *, owner: str, say: Say
) -> Containers:
    """Containers on the daemon of these options. Raises DaemonError."""
    try:
        api = docker.APIClient(base_url=options.url, version="auto", timeout=_CALL_WITHIN)
        version = str(api.version()["Version"])
    except (DockerException, OSError) as error:
        msg = f"The Docker daemon at {options.url} does not answer: {error}."
        raise DaemonError(msg) from None
    return Containers(
        api=api,
        options=options,
        surroundings=surroundings,
        owner=owner,
        daemon=parse_version(version),
        say=say,
    )


def _refusing(work: Callable[[], T]) -> T:
    """A permanent refusal of the daemon ends the run; a temporary one is an OSError."""
    try:
        return work()
    except APIError as error:
        if error.is_client_error():
            raise UnstartableError(str(error.explanation or error)) from error
        raise OSError(None, f"Docker: {error.explanation or error}") from error


async def in_thread(work: Callable[[], T]) -> T:
    """Await blocking work. The exit does not wait for its thread, unlike the threads of the loop's own executor."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(done: Callable[[], None]) -> None:
        if not future.done():
            done()

    def run() -> None:
        try:
            found = work()
        except BaseException as error:
            failure = error
            tell = lambda: settle(lambda: future.set_exception(failure))  # noqa: E731
        else:
            tell = lambda: settle(lambda: future.set_result(found))  # noqa: E731
        with suppress(RuntimeError):  # the loop has closed: the result is not needed any more
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=run, daemon=True, name="docker").start()
    return await future
