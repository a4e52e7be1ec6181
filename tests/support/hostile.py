"""A Headwater under attack (`attacks`), and a victim whose requests are measured meanwhile.

The victim is another tenant than who attacks: its requests come from a process of their own. What an attack holds open
is closed when the measurement is over.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import process_time
from urllib.parse import quote

import asyncpg
import orjson
import psutil

from deploy.engines.postgres import SUPERUSER
from libs.runtime.ids import new_id
from services.gateway.keys import fingerprint
from tests.support import watched_runs
from tests.support.engines import json_as_values
from tests.support.eventually import eventually
from tests.support.headwater import Headwater
from tests.support.ledger import Flow, tenant_with_flow
from tests.support.wire_load import Answered, Load, http_request, load_process

MEGABYTE = 1 << 20
RUNNING = {"type": "Running", "message": "Starting task run.", "context": {"tags": []}}
_LONG_TEXT = 40_000
_HOSTILE_RUNS, _HOSTILE_LINES = 1_000, 50_000  # what the attacker has in bulk

Attack = Callable[["World", AsyncExitStack], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class World:
    """A Headwater with keys on, a victim with runs, and an attacker with keys of another tenant."""

    headwater: Headwater
    gateway: psutil.Process
    pool: "asyncpg.Pool[asyncpg.Record]"
    drive: Callable[[Load], Awaitable[Answered]]
    victim: Flow
    victim_key: str
    victim_run: str
    hostile_key: str
    hostile_run: str
    read_only_key: str

    @property
    def port(self) -> int:
        """The API's."""
        return self.headwater.port


@dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """What the victim felt, in seconds, what the gateway took at its peak, in bytes, and how many cores the attackers
    had."""

    transition_p99: float
    read_p99: float
    peak_memory: int
    same_processes: bool
    attackers_cores: float


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    """Each service is a process of its own."""
    async with Headwater(
        folder, "--processes", auth="required", **watched_runs.SETTINGS
    ) as headwater:
        # The gateway may answer before all services do, and only then is the record written.
        await eventually((headwater.data / "running.json").exists, timeout=60)
        record = orjson.loads((headwater.data / "running.json").read_bytes())
        secret = quote(headwater.secret("postgres") or "", safe="")
        url = f"postgresql://{SUPERUSER}:{secret}@127.0.0.1:{record['postgres_port']}/headwater"
        async with asyncpg.create_pool(url, min_size=1, max_size=2, init=json_as_values) as pool:
            pepper = (headwater.secret("gateway.key_pepper") or "").encode()
            victim, hostile = await tenant_with_flow(pool), await tenant_with_flow(pool)
            victim_key = await _key(pool, victim, "tenant_admin", pepper)
            hostile_key = await _key(pool, hostile, "user", pepper)
            hostile_run = await a_run(headwater.port, hostile, hostile_key)
            await _stock(pool, hostile, hostile_run)
            for _ in range(_HOSTILE_RUNS // 100):
                await post(
                    headwater.port, b"[" + b",".join([_creation(hostile)] * 100) + b"]", hostile_key
                )
            with load_process() as drive:
                yield World(
                    headwater=headwater,
                    gateway=_gateway(headwater),
                    pool=pool,
                    drive=drive,
                    victim=victim,
                    victim_key=victim_key,
                    victim_run=await a_run(headwater.port, victim, victim_key),
                    hostile_key=hostile_key,
                    hostile_run=hostile_run,
                    read_only_key=await _key(pool, hostile, "read_only", pepper),
                )


async def felt_under(
    world: World, attacks: Sequence[Attack] = (), *, each: int = 50, at_least: float = 0.0
) -> Felt:
    """Measure so many requests of each kind, again until `at_least` seconds are over, while the attacks go on."""
    before = _processes(world)
    # The peak begins anew.
    (Path("/proc") / str(world.gateway.pid) / "clear_refs").write_text("5")
    loop = asyncio.get_running_loop()
    attacking = [asyncio.ensure_future(_for_ever(attack, world)) for attack in attacks]
    try:
        began, cpu = loop.time(), process_time()
        transitions: list[float] = []
        reads: list[float] = []
        while not transitions or loop.time() - began < at_least:
            answered = await world.drive(_victim(world, each))
            transitions += answered.latencies[: 2 * each]
            reads += answered.latencies[2 * each :]
        for task in attacking:
            if task.done():
                # An attack that ended is none, and the figure would be worth nothing.
                task.result()
    finally:
        for task in attacking:
            task.cancel()
        for task in attacking:
            with suppress(asyncio.CancelledError):
                await task
    return Felt(
        transition_p99=quantiles(transitions, n=100)[98],
        read_p99=quantiles(reads, n=100)[98],
        peak_memory=_peak(world.gateway),
        same_processes=_processes(world) == before,
        attackers_cores=(process_time() - cpu) / (loop.time() - began),
    )


@asynccontextmanager
async def with_heartbeats(world: World, *, living: int = 10) -> AsyncIterator[watched_runs.Heard]:
    """Runs of the victim that ping meanwhile, and one that stops at once."""
    runs = [await a_run(world.port, world.victim, world.victim_key) for _ in range(living + 1)]
    for run in runs:
        answer = await post(world.port, _transition(run), world.victim_key)
        assert b'"errors"' not in answer, answer
    async with watched_runs.watched(
        world.pool, world.port, world.victim_key, living=runs[1:], dead=runs[0]
    ) as heard:
        yield heard


def _victim(world: World, each: int) -> Load:
    """Single transitions on two connections, one-row reads on two others."""
    transition = _transition(world.victim_run)
    read = graphql_body(
        "query($id: uuid!) { flow_run_by_pk(id: $id) { id state } }", id=world.victim_run
    )
    headers = f"Authorization: Bearer {world.victim_key}\r\n".encode()
    return Load(
        url=world.headwater.url,
        lanes=[
            [http_request(body, headers=headers)] * each for body in (transition,) * 2 + (read,) * 2
        ],
        expect=world.victim_run.encode(),
    )


def _transition(run: str) -> bytes:
    return graphql_body(
        "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id status } } }",
        input={"states": [{"flow_run_id": run, "state": RUNNING, "version": None}]},
    )


async def _for_ever(attack: Attack, world: World) -> None:
    async with AsyncExitStack() as held:
        while True:
            # Who is refused tries again.
            with suppress(OSError):
                await attack(world, held)
            await asyncio.sleep(0.01)


def _processes(world: World) -> set[int]:
    return {child.pid for child in psutil.Process(world.headwater.pid).children()}


def _gateway(headwater: Headwater) -> psutil.Process:
    [found] = [
        child
        for child in psutil.Process(headwater.pid).children()
        if "services.gateway" in child.cmdline()
    ]
    return found


def _peak(process: psutil.Process) -> int:
    status = (Path("/proc") / str(process.pid) / "status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


async def _key(pool: "asyncpg.Pool[asyncpg.Record]", flow: Flow, role: str, pepper: bytes) -> str:
    text = f"hw_{new_id()}"
    await pool.execute(
        "INSERT INTO gateway.api_key (id, tenant_id, user_id, name, role, hash) VALUES ($1, $2, $3, $4, $4, $5)",
        new_id(), flow.tenant_id, new_id(), role, fingerprint(text, pepper),
    )  # fmt: skip
    return text


async def _stock(pool: "asyncpg.Pool[asyncpg.Record]", hostile: Flow, run: str) -> None:
    """What the attacker's attacks are about: a long text, many runs, a long log."""
    await pool.execute(
        "UPDATE registry.flow SET description = repeat('x', $2) WHERE id = $1",
        hostile.id,
        _LONG_TEXT,
    )
    await pool.execute(
        "INSERT INTO runs.log (id, created, tenant_id, flow_run_id, timestamp, message, level, sequence)"
        " SELECT gen_random_uuid(), now(), $1, $2, now(), repeat('line ', 20), 'INFO', n"
        " FROM generate_series(1, $3::int) AS n",
        hostile.tenant_id,
        run,
        _HOSTILE_LINES,
    )


async def a_run(port: int, flow: Flow, key: str) -> str:
    """A new run of the flow."""
    answer = await post(port, _creation(flow), key)
    made: str = orjson.loads(answer)["data"]["create_flow_run"]["id"]
    return made


def _creation(flow: Flow) -> bytes:
    return graphql_body(
        "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
        input={"flow_id": str(flow.id)},
    )


def graphql_body(query: str, **variables: object) -> bytes:
    """What a client posts."""
    return orjson.dumps({"query": query, "variables": variables})


def request_head(length: int, key: str | None = None) -> bytes:
    """The head of a POST with a body of so many bytes."""
    shown = f"authorization: Bearer {key}\r\n" if key else ""
    return (
        f"POST /graphql HTTP/1.1\r\nhost: localhost\r\n{shown}content-type: application/json\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


async def post(port: int, body: bytes, key: str | None = None) -> bytes:
    """The body of the answer; nothing where the server closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with suppress(ConnectionError):
            writer.write(request_head(len(body), key) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        pass
    finally:
        writer.transport.abort()
    return b""
