"""A parent of embedded engines that tests can kill: `python -m tests.support.engine_parent <data folder>`.

Prints one JSON line when the engines are ready, and then one for each line that it reads on standard input. Ends with
its input; what it could not do is the one line on standard error, as with the real commands.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from deploy.engines import DURABLE, DataFolder, EmbeddedEngines, EngineError
from deploy.say import complain


async def main(path: Path) -> None:
    """Run the engines until standard input ends."""
    folder = DataFolder(path)
    folder.claim()
    engines = EmbeddedEngines(folder, DURABLE)
    async with engines:
        _tell(engines)
        while await asyncio.to_thread(sys.stdin.readline):
            _tell(engines)


def _tell(engines: EmbeddedEngines) -> None:
    found = engines.endpoints
    sys.stdout.write(
        json.dumps(
            {
                "pid": os.getpid(),
                "postgres_pid": engines.postgres.pid,
                "nats_pid": engines.nats.pid,
                "postgres_port": engines.postgres.port,
                "nats_port": engines.nats.port,
                "postgres_url": found.postgres_url(database="postgres"),
                "nats_url": found.nats_url,
                "home": str(engines.home),
            }
        )
        + "\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1])))
    except EngineError as error:
        complain(error)
