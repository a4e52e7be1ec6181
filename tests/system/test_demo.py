"""`make demo`: the main job, as a newcomer sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

import psutil
import pytest

from tests.support.gql import Gql
from tests.support.headwater import Headwater
from tests.support.ports import free_port

pytestmark = [pytest.mark.client, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


async def begin(folder: Path, *, port: int) -> Process:
    """Start it in an empty folder."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "deploy.demo"),
        cwd=folder,
        env=os.environ
        | {
            "DEMO_EXIT": "1",
            "HEADWATER_PORT": str(port),
            "HEADWATER_DATA": str(folder / "data"),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "160",
        },
        stdout=PIPE,
        stderr=STDOUT,
    )


async def end(process: Process) -> tuple[int | None, str]:
    """Its exit code, and what it printed since."""
    said, _ = await asyncio.wait_for(process.communicate(), 300)
    return process.returncode, said.decode()


def left_behind(folder: Path) -> list[str]:
    """Processes that still have to do with this folder."""
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or ())
    ]


async def test_the_demo_ends_well_and_leaves_no_process(tmp_path: Path) -> None:
    code, said = await end(await begin(tmp_path, port=free_port()))

    assert code == 0, said
    for sentence in (
        "freshness-check version 1, its schedule has 10 runs ahead",
        "version 2 archived version 1",
        "3 shops sold for 4910.40 EUR on 2026-11-21",
        "Run history",
        "The GraphQL API is at",
    ):
        assert sentence in said
    assert "/default/flow-run/" in said.partition("See the run: ")[2]
    assert left_behind(tmp_path) == []


async def test_the_demo_uses_the_headwater_that_runs_and_leaves_it_running(
    headwater: Headwater, api: Gql, tmp_path: Path
) -> None:
    code, said = await end(await begin(tmp_path, port=headwater.port))

    assert code == 0, said
    assert f"using the Headwater that already runs at {headwater.url}" in said
    assert left_behind(tmp_path) == []
    assert await api.answers()


async def test_ctrl_c_in_the_middle_of_the_demo_leaves_no_process(tmp_path: Path) -> None:
    process = await begin(tmp_path, port=free_port())
    assert process.stdout is not None
    async with asyncio.timeout(180):
        while b"An ad-hoc run" not in (line := await process.stdout.readline()):
            assert line, "the demo ended before it came to its runs"

    process.send_signal(signal.SIGINT)
    code, said = await end(process)

    assert code == 130
    assert "everything that the demo started is stopped" in said
    assert left_behind(tmp_path) == []


async def test_the_demo_fails_with_a_sentence_when_its_port_is_taken(tmp_path: Path) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    stranger = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port: int = stranger.sockets[0].getsockname()[1]
    async with stranger:
        code, said = await end(await begin(tmp_path, port=port))

    assert code == 1
    assert "The demo failed" in said
    assert str(port) in said
    assert "Traceback" not in said
    assert left_behind(tmp_path) == []
