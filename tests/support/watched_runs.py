"""Runs that ping over GraphQL from a process of their own, and one that stops: what becomes of them.

The settings are the real ones, six times as fast: a ping each 5 s, and who misses four is announced.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

INTERVAL = 5.0  # seconds
SILENCE = 4 * INTERVAL
SETTINGS = {
    "heartbeat_interval": f"PT{INTERVAL:g}S",
    "heartbeat_write_interval": f"PT{INTERVAL:g}S",
    "heartbeat_check_interval": "PT4S",
}
LATE = 5.0
"""Seconds after its silence within which a dead run is announced."""

# Like Core's heartbeat threads: one for each run, a new connection for each ping, and no second try. It says when it
# sent what was answered, and how long that took; `-` where there was no answer within an interval.
_PINGS = """
import http.client, json, sys, threading, time
port, key, interval, runs = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4:]
query = 'mutation { update_flow_run_heartbeat(input: {flow_run_id: "%s"}) { success } }'
def ping(run, due):
    while True:
        time.sleep(max(0, due - time.monotonic()))
        due += interval
        sent, began = time.time(), time.monotonic()
        try:
            way = http.client.HTTPConnection("127.0.0.1", port, timeout=interval)
            way.request("POST", "/", json.dumps({"query": query % run}),
                        {"Content-Type": "application/json", "Authorization": "Bearer " + key})
            answered = b'"success":true' in way.getresponse().read().replace(b" ", b"")
            way.close()
        except OSError:
            answered = False
        took = time.monotonic() - began if answered else "-"
        sys.stdout.write("%s %s %s\\n" % (run, sent, took))
        sys.stdout.flush()
now = time.monotonic()
for place, run in enumerate(runs):
    threading.Thread(target=ping, args=(run, now + interval * place / len(runs))).start()
"""


@dataclass(slots=True)
class Heard:
    """What became of the pings, and of the run that stopped."""

    seconds: list[float] = field(default_factory=list)
    """How long each ping took that was answered."""
    missed: int = 0
    false: int = 0
    """Runs that pinged and were announced all the same."""
    found_after: float | None = None
    """Seconds from the last ping of the run that stopped to its announcement; None: it was not announced."""

    @property
    def is_well(self) -> bool:
        """Whether every ping was taken, and the dead alone were announced, in time."""
        found = self.found_after
        in_time = found is not None and SILENCE <= found <= SILENCE + LATE
        return not self.missed and not self.false and in_time


@asynccontextmanager
async def watched(
    pool: "asyncpg.Pool[asyncpg.Record]", port: int, key: str, *, living: Sequence[str], dead: str
) -> AsyncIterator[Heard]:
    """All are Running. Filled when the context ends, which is not before the dead run should have been announced."""
    heard = Heard()
    last = await _one_ping(port, key, dead)
    pings = await _pinging(port, key, living)
    try:
        yield heard
        heard.found_after = await _found_after(pool, dead, last)
    finally:
        pings.kill()
        said, _ = await pings.communicate()
    for line in said.decode().splitlines():
        _, _, took = line.split()
        if took == "-":
            heard.missed += 1
        else:
            heard.seconds.append(float(took))
    heard.false = await pool.fetchval(
        "SELECT count(*) FROM heartbeat.zombie WHERE flow_run_id = ANY($1)",
        [UUID(run) for run in living],
    )


async def _pinging(port: int, key: str, runs: Sequence[str]) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _PINGS, str(port), key, str(INTERVAL), *runs),
        stdin=DEVNULL,
        stdout=PIPE,
    )


async def _one_ping(port: int, key: str, run: str) -> float:
    """When it was sent, by the clock of the wall."""
    pings = await _pinging(port, key, [run])
    assert pings.stdout is not None
    _, sent, took = (await pings.stdout.readline()).split()
    pings.kill()
    await pings.communicate()
    assert took != b"-", "the ping of the run that stops was not answered"
    return float(sent)


async def _found_after(pool: "asyncpg.Pool[asyncpg.Record]", run: str, last: float) -> float | None:
    deadline = asyncio.get_running_loop().time() + SILENCE + 2 * LATE
    while asyncio.get_running_loop().time() < deadline:
        at = await pool.fetchval(
            "SELECT extract(epoch FROM min(detected))::float8 FROM heartbeat.zombie WHERE flow_run_id = $1",
            UUID(run),
        )
        if at is not None:
            return float(at) - last
        await asyncio.sleep(0.5)
    return None
