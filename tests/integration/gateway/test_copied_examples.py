"""What the pages show to be copied works as it stands: every `curl` of theirs, run by a shell."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.engines import Stack
from tests.support.gql import Gql
from tests.support.services import all_services
from tests.support.streaming import FIRST, a_run

CHECKOUT = Path(__file__).parents[3]
PAGES = (
    "services/gateway/guide/api.md",
    "services/gateway/guide/events.md",
    "services/gateway/guide/people.md",
    "services/gateway/reference/reads.md",
    "services/gateway/downloads/__init__.py",
)
ADDRESS = re.compile(r"(?:http://)?(?:localhost|127\.0\.0\.1):4200")
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class World:
    """Where the gateway is, and a run with a log."""

    url: str
    run: str


@pytest.fixture(scope="module")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with all_services(stack, auth="required", bootstrap_key=FIRST) as gateway:
        url = f"http://127.0.0.1:{gateway.port}"
        async with Gql(url, headers={"authorization": f"Bearer {FIRST}"}) as admin:
            _, run = await a_run(admin)
            yield World(url, run)


def commands(text: str) -> Iterator[str]:
    """Each `curl`, with its further lines: after a backslash, and inside quotes."""
    lines = iter(text.splitlines())
    for line in lines:
        if not re.match(r"\s*curl ", line):
            continue
        command = line
        while command.endswith("\\") or _is_open(command):
            command += "\n" + next(lines)
        # A page of Python writes a backslash twice.
        yield command.strip().replace("\\\\\n", "\\\n")


def _is_open(command: str) -> bool:
    """Whether a quote is still open."""
    quote = ""
    for sign in command.partition("  #")[0]:
        if sign == quote:
            quote = ""
        elif not quote and sign in "'\"":
            quote = sign
    return bool(quote)


EXAMPLES = [
    pytest.param(command, id=f"{page} {number}")
    for page in PAGES
    for number, command in enumerate(commands((CHECKOUT / page).read_text()))
]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
@pytest.mark.parametrize("command", EXAMPLES)
async def test_an_example_that_is_copied_into_a_shell_is_answered(
    world: World, tmp_path: Path, command: str
) -> None:
    # Most are written for a Headwater without keys; pages say where the key goes.
    key = "" if "uthorization" in command else '-H "Authorization: Bearer $KEY" '
    asked = ADDRESS.sub(world.url, command).replace("curl ", f"curl --fail-with-body {key}", 1)
    is_stream = "/events" in command
    environment = {**os.environ, "KEY": FIRST, "HEADWATER_KEY": FIRST, "RUN": world.run}
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", asked, cwd=tmp_path, env=environment,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            if is_stream:
                assert shell.stdout is not None
                said = b""
                while b"event: open" not in said:
                    more = await shell.stdout.read(4096)
                    assert more, said
                    said += more
                return
            said, _ = await shell.communicate()
    finally:
        if shell.returncode is None:
            shell.kill()
            await shell.wait()

    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert shell.returncode == 0, said
    assert b'"errors"' not in said + written
