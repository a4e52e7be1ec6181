"""The processes of the demo end with it, however it ends."""

import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from pathlib import Path

import psutil

from tests.support.eventually import eventually

CHILD = "import signal; print('started', flush=True); signal.pause()"
DEMO = f"""
import os, sys
from pathlib import Path
from deploy.demo.children import Child

command = [sys.executable, "-c", {CHILD!r}]
with Child.running("child", command, env=dict(os.environ), log=Path(sys.argv[1])):
    sys.stdin.read()
"""


async def test_what_a_killed_demo_started_is_told_to_end(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    demo = await create_subprocess_exec(sys.executable, "-c", DEMO, str(log), stdin=PIPE)
    try:
        await eventually(lambda: "started" in log.read_text(), timeout=60)
        [child] = psutil.Process(demo.pid).children()
        demo.kill()
        await eventually(lambda: _ended(child), timeout=60)
    finally:
        if demo.returncode is None:
            demo.kill()
        await demo.communicate()


def _ended(process: psutil.Process) -> bool:
    # Nobody may be there to reap an orphan.
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
