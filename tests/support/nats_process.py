"""A nats-server of a test's own, with a configuration of its own."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.engines.programs import nats_server_binary
from tests.support.eventually import eventually


@asynccontextmanager
async def nats_process(
    folder: Path,
    port: int,
    configuration: str,
    *,
    options: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[Path]:
    """Run nats-server until JetStream answers at the port; yields its log. The folder goes with it.

    `configuration` is the text of its file, which lies in the folder; `variables` are what that refers to.
    """
    file, log = folder / "nats.conf", folder / "log"
    file.write_text(configuration)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(str(nats_server_binary(None)), "--config", str(file), *options),
            env=os.environ | (variables or {}),
            stdout=output,
            stderr=output,
        )
    try:
        await eventually(lambda: _answers(process, port, log))
        yield log
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def _answers(process: asyncio.subprocess.Process, port: int, log: Path) -> bool:
    assert process.returncode is None, log.read_text()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    greeting = await reader.readline()
    writer.close()
    return b'"jetstream":true' in greeting
