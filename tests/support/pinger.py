"""A crowd of live runs that ping straight over NATS, as a process of its own: `python -m tests.support.pinger ...`.

It writes the protocol itself, because a client library costs more a ping than the service that is measured. Every run
pings at its own phase of the interval. On stdin it takes `stop COUNT FILE`: so many runs fall silent at once, and the
file gets a line `id last-ping` (seconds since the epoch) for each; on stdout it says after each round how many pings it
has sent and how late the round was.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from libs.contracts import subjects

_SLOT = 0.02  # seconds; what is due within one goes out in one write
_AT_ONCE = 2000


def wire(tenant: UUID) -> bytes:
    """One ping on the wire, with `%b` for the run."""
    subject = subjects.BEAT.at(tenant_id=tenant, flow_run_id="%b")
    return f"PUB {subject} 0\r\n\r\n".encode()


class Crowd:
    """The runs, when each pinged last, and which have fallen silent."""

    def __init__(self, runs: list[bytes], *, interval: float, template: bytes) -> None:
        self.runs = runs
        self.last = [0.0] * len(runs)
        self.silent: set[int] = set()
        self.sent = 0
        self._interval = interval
        self._template = template

    async def ping(self, writer: asyncio.StreamWriter) -> None:
        """Ping for ever, each run at its phase."""
        template, runs, last, silent = self._template, self.runs, self.last, self.silent
        began = time.monotonic()
        number = 0
        while True:
            at, number = number, (number + 1)
            start = began + self._interval * at
            done = 0
            while done < len(runs):
                elapsed = time.monotonic() - start
                due = min(len(runs), int(len(runs) * elapsed / self._interval))
                is_behind = due > done + _AT_ONCE
                due = min(due, done + _AT_ONCE)
                if due > done:
                    now = time.time()  # noqa: TID251 - compared with the database's clock
                    part = []
                    for index in range(done, due):
                        if index not in silent:
                            part.append(template % runs[index])
                            last[index] = now
                    writer.write(b"".join(part))
                    self.sent += len(part)
                    done = due
                    await writer.drain()
                await asyncio.sleep(0 if is_behind else _SLOT)
            late = time.monotonic() - start - self._interval
            _say(f"sent {self.sent} late {late:.2f}")

    def stop(self, count: int, file: Path) -> None:
        """So many fall silent."""
        chosen = random.sample([i for i in range(len(self.runs)) if i not in self.silent], count)
        self.silent.update(chosen)
        file.write_text("".join(f"{self.runs[i].decode()} {self.last[i]}\n" for i in chosen))
        _say("stopped")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(arguments: argparse.Namespace) -> None:
    """Connect, ping, obey stdin until it ends."""
    address = urlsplit(arguments.nats)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    await reader.readline()  # INFO
    options = {"verbose": False, "pedantic": False, "headers": True, "lang": "pinger"}
    options |= {"user": address.username, "pass": address.password} if address.username else {}
    writer.write(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
    runs = [str(UUID(line)).encode() for line in arguments.runs.read_text().split()]
    crowd = Crowd(runs, interval=arguments.interval, template=wire(arguments.tenant))

    async def answer_the_broker() -> None:
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                _say(f"the broker complains: {line.decode().strip()}")

    async def obey() -> None:
        stdin = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
        while line := await stdin.readline():
            _, count, file = line.decode().split()
            crowd.stop(int(count), Path(file))

    tasks = [
        asyncio.create_task(each) for each in (answer_the_broker(), crowd.ping(writer), obey())
    ]
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nats", required=True)
    parser.add_argument("--tenant", type=UUID, required=True)
    parser.add_argument("--runs", type=Path, required=True, help="a file of run ids, one a line")
    parser.add_argument("--interval", type=float, default=30)
    asyncio.run(main(parser.parse_args()))
