"""Attacks on the API, bounded and on loopback, and a victim whose requests are measured meanwhile.

The victim is another tenant than who attacks: its requests come from a process of their own. What an attack holds open
is closed when the measurement is over.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from urllib.parse import quote

import asyncpg
import orjson
import psutil

from deploy.engines.postgres import SUPERUSER
from libs.runtime.ids import new_id
from services.gateway.keys import fingerprint
from tests.support.engines import json_as_values
from tests.support.eventually import eventually
from tests.support.headwater import Headwater
from tests.support.ledger import Flow, tenant_with_flow
from tests.support.wire_load import Answered, Load, http_request, load_process

MEGABYTE = 1 << 20
NESTED = b"[" + b"[]," * 5_000_000 + b"[]]"
"""15 MB of five million arrays."""
_LONG_TEXT = 40_000
_LEAVING, _TURNS = 90, 30  # clients a second that ask and leave, and in how many parts they come
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds
_RUNNING = {"type": "Running", "message": "Starting task run.", "context": {"tags": []}}


@dataclass(frozen=True, slots=True)
class World:
    """A Headwater with keys on, a victim with a run, and an attacker with keys of another tenant."""

    headwater: Headwater
    gateway: psutil.Process
    drive: Callable[[Load], Awaitable[Answered]]
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
    """What the victim felt, in seconds, and what the gateway took at its peak, in bytes."""

    transition_p99: float
    read_p99: float
    peak_memory: int
    same_processes: bool


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    """Each service is a process of its own."""
    async with Headwater(folder, "--processes", auth="required") as headwater:
        # The gateway may answer before all services do, and only then is the record written.
        await eventually((headwater.data / "running.json").exists, timeout=60)
        record = orjson.loads((headwater.data / "running.json").read_bytes())
        secret = quote(headwater.secret("postgres") or "", safe="")
        url = f"postgresql://{SUPERUSER}:{secret}@127.0.0.1:{record['postgres_port']}/headwater"
        async with asyncpg.create_pool(url, min_size=1, max_size=2, init=json_as_values) as pool:
            pepper = (headwater.secret("gateway.key_pepper") or "").encode()
            victim, hostile = await tenant_with_flow(pool), await tenant_with_flow(pool)
            await pool.execute(
                "UPDATE registry.flow SET description = repeat('x', $2) WHERE id = $1",
                hostile.id,
                _LONG_TEXT,
            )
            victim_key = await _key(pool, victim, "tenant_admin", pepper)
            hostile_key = await _key(pool, hostile, "user", pepper)
            with load_process() as drive:
                yield World(
                    headwater=headwater,
                    gateway=_gateway(headwater),
                    drive=drive,
                    victim_key=victim_key,
                    victim_run=await _run(headwater.port, victim, victim_key),
                    hostile_key=hostile_key,
                    hostile_run=await _run(headwater.port, hostile, hostile_key),
                    read_only_key=await _key(pool, hostile, "read_only", pepper),
                )


async def felt_under(
    world: World, attack: "Attack | None", *, each: int = 50, at_least: float = 0.0
) -> Felt:
    """Measure so many requests of each kind, again until `at_least` seconds are over, while the attack goes on."""
    before = _processes(world)
    (Path("/proc") / str(world.gateway.pid) / "clear_refs").write_text("5")  # the peak begins anew
    loop = asyncio.get_running_loop()
    attacking = asyncio.ensure_future(_for_ever(attack, world)) if attack else None
    try:
        began = loop.time()
        transitions: list[float] = []
        reads: list[float] = []
        while not transitions or loop.time() - began < at_least:
            answered = await world.drive(_victim(world, each))
            transitions += answered.latencies[: 2 * each]
            reads += answered.latencies[2 * each :]
    finally:
        if attacking is not None:
            attacking.cancel()
            with suppress(asyncio.CancelledError):
                await attacking
    return Felt(
        transition_p99=quantiles(transitions, n=100)[98],
        read_p99=quantiles(reads, n=100)[98],
        peak_memory=_peak(world.gateway),
        same_processes=_processes(world) == before,
    )


def _victim(world: World, each: int) -> Load:
    """Single transitions on two connections, one-row reads on two others."""
    states = {"states": [{"flow_run_id": world.victim_run, "state": _RUNNING, "version": None}]}
    transition = _body(
        "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id status } } }",
        input=states,
    )
    read = _body("query($id: uuid!) { flow_run_by_pk(id: $id) { id state } }", id=world.victim_run)
    headers = f"Authorization: Bearer {world.victim_key}\r\n".encode()
    return Load(
        url=world.headwater.url,
        lanes=[
            [http_request(body, headers=headers)] * each for body in (transition,) * 2 + (read,) * 2
        ],
        expect=world.victim_run.encode(),
    )


def _body(query: str, **variables: object) -> bytes:
    return orjson.dumps({"query": query, "variables": variables})


async def _for_ever(attack: "Attack", world: World) -> None:
    async with AsyncExitStack() as held:
        while True:
            await attack(world, held)


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


async def _run(port: int, flow: Flow, key: str) -> str:
    body = _body(
        "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
        input={"flow_id": str(flow.id)},
    )
    answer = await post(port, body, key)
    made: str = orjson.loads(answer)["data"]["create_flow_run"]["id"]
    return made


# attacks: each is one round, and what it leaves open is in `held`

Attack = Callable[[World, AsyncExitStack], Awaitable[None]]


def _head(length: int, key: str | None = None) -> bytes:
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
            writer.write(_head(len(body), key) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        pass
    finally:
        writer.transport.abort()
    return b""


async def nested_without_key(world: World, _held: AsyncExitStack) -> None:
    """Large bodies of a stranger."""
    await asyncio.gather(*(post(world.port, NESTED) for _ in range(3)))


async def nested_with_key(world: World, _held: AsyncExitStack) -> None:
    """Large bodies, just within the limit."""
    body = b'{"query":"{hello}","variables":{"x":[' + b"[1]," * 190_000 + b"[]]}}"
    await asyncio.gather(*(post(world.port, body, world.hostile_key) for _ in range(3)))


async def unfinished_requests(world: World, held: AsyncExitStack) -> None:
    """Heads and bodies that do not end, and connections without a word."""
    for sent, count in (
        (b"POST /graphql HTTP/1.1\r\nhost: loc", 300),
        (_head(100, world.hostile_key) + b"{", 100),
        (b"", 300),
    ):
        for _ in range(count):
            await _hold(world, held, sent)
    await asyncio.Event().wait()


async def _hold(world: World, held: AsyncExitStack, sent: bytes) -> None:
    """Send it, and take nothing. A plain socket: a stream would read."""
    client = socket.socket()
    held.callback(client.close)
    # The kernel must not take an answer for a client that does not.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", world.port))
    with suppress(ConnectionError):
        await loop.sock_sendall(client, sent)


async def endless_heads(world: World, _held: AsyncExitStack) -> None:
    """Headers that never end."""

    async def one() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", world.port)
        with suppress(ConnectionError):
            writer.write(b"POST /graphql HTTP/1.1\r\nx: ")
            for _ in range(64):
                writer.write(b"x" * MEGABYTE)
                await writer.drain()
        writer.transport.abort()

    await asyncio.gather(*(one() for _ in range(4)))


async def a_batch_of_documents(world: World, _held: AsyncExitStack) -> None:
    """A hundred documents of two thousand fields, none of which was ever seen."""
    nonce = str(new_id()).replace("-", "")
    batch = [
        {"query": "{" + " ".join(f"a{n}_{place}_{nonce}: hello" for n in range(2_000)) + "}"}
        for place in range(100)
    ]
    body = orjson.dumps(batch)[: 1 << 24]
    await post(world.port, body, world.read_only_key)


async def unused_fragments(world: World, _held: AsyncExitStack) -> None:
    """Documents that are cheap to write and dear to validate."""
    nonce = str(new_id()).replace("-", "")
    query = "{ hello }" + " ".join(
        f"fragment f{n}_{nonce} on Query {{ hello }}" for n in range(12_000)
    )
    body = orjson.dumps([{"query": f"{query} #{place}"} for place in range(8)])
    await post(world.port, body, world.read_only_key)


async def regular_expressions(world: World, _held: AsyncExitStack) -> None:
    """A hundred that take a second and more."""
    pattern = r"^(x*)(x*)\\1\\2y"
    query = f'{{ flow(where: {{description: {{_regex: "{pattern}"}}}}) {{ id }} }}'
    await post(world.port, orjson.dumps([{"query": query}] * 100), world.read_only_key)


async def clients_that_leave(world: World, held: AsyncExitStack) -> None:
    """Each asks something slow and is gone; whether those before were looked at is nothing to them."""
    query = '{ flow(where: {description: {_ilike: "%x%x%x%x%x%y%"}}) { id } }'
    body = orjson.dumps([{"query": query}] * 50)
    request = _head(len(body), world.read_only_key) + body

    def one() -> None:
        client = socket.socket()
        client.setblocking(False)
        # Closed with this, a connection is reset; a client that is killed with bytes unread leaves in the same way.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        leaving.append(client)
        with suppress(BlockingIOError):
            client.connect(("127.0.0.1", world.port))
        with suppress(OSError):
            client.send(request)

    leaving: list[socket.socket] = []

    def leave() -> None:
        while leaving:
            leaving.pop().close()

    held.callback(leave)
    while True:
        for _ in range(_LEAVING // _TURNS):
            one()
        await asyncio.sleep(1 / _TURNS)
        leave()


async def answers_never_read(world: World, held: AsyncExitStack) -> None:
    """Ten clients that ask for much and take none of it."""
    fields = " ".join(f"f{n}: flow {{ description }}" for n in range(450))
    body = orjson.dumps({"query": f"{{ {fields} }}"})
    for _ in range(10):
        await _hold(world, held, _head(len(body), world.read_only_key) + body)
    await asyncio.Event().wait()


async def many_mutations(world: World, _held: AsyncExitStack) -> None:
    """Sixteen clients that change states as fast as they can, one of them a hundred at once."""
    states = [{"flow_run_id": world.hostile_run, "state": _RUNNING, "version": None}]
    text = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"
    single = _body(text, input={"states": states})
    batch = b"[" + b",".join([single] * 100) + b"]"
    await asyncio.gather(
        *(post(world.port, single, world.hostile_key) for _ in range(15)),
        post(world.port, batch, world.hostile_key),
    )


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        nested_without_key,
        nested_with_key,
        unfinished_requests,
        endless_heads,
        a_batch_of_documents,
        unused_fragments,
        regular_expressions,
        clients_that_leave,
        answers_never_read,
        many_mutations,
    )
}
