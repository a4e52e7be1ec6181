"""Attacks on the API, bounded and on loopback: each is one round, and what it leaves open is in `held`.

Those of a bulk flood are no attacks by intention: what a tenant asks for in bulk must not delay another either.
"""

import asyncio
import socket
import struct
from contextlib import AsyncExitStack, suppress

import orjson

from libs.runtime.ids import new_id
from tests.support.hostile import MEGABYTE, RUNNING, Attack, World, graphql_body, post, request_head

NESTED = b"[" + b"[]," * 5_000_000 + b"[]]"
"""15 MB of five million arrays."""
_LEAVING, _TURNS = 90, 30  # clients a second that ask and leave, and in how many parts they come
_STRANGERS = 300  # connections a second that show a key nobody has
_ELSEWHERE = ("127.0.0.2", 0)  # where attackers are; the victim is another address
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds


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
        (request_head(100, world.hostile_key) + b"{", 100),
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
    client.bind(_ELSEWHERE)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", world.port))
    with suppress(ConnectionError):
        await loop.sock_sendall(client, sent)


async def endless_heads(world: World, _held: AsyncExitStack) -> None:
    """Headers that never end."""

    async def one() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", world.port, local_addr=_ELSEWHERE)
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
        {"query": "{" + " ".join(f"a{n}_{number}_{nonce}: hello" for n in range(2_000)) + "}"}
        for number in range(100)
    ]
    body = orjson.dumps(batch)[: 1 << 24]
    await post(world.port, body, world.read_only_key)


async def unused_fragments(world: World, _held: AsyncExitStack) -> None:
    """Documents that are cheap to write and dear to validate."""
    nonce = str(new_id()).replace("-", "")
    query = "{ hello }" + " ".join(
        f"fragment f{n}_{nonce} on Query {{ hello }}" for n in range(12_000)
    )
    body = orjson.dumps([{"query": f"{query} #{number}"} for number in range(8)])
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
    request = request_head(len(body), world.read_only_key) + body

    def one() -> None:
        client = socket.socket()
        client.setblocking(False)
        # Closed with this, a connection is reset; a client that is killed with bytes unread leaves in the same way.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.bind(_ELSEWHERE)
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
        await _hold(world, held, request_head(len(body), world.read_only_key) + body)
    await asyncio.Event().wait()


async def many_mutations(world: World, _held: AsyncExitStack) -> None:
    """Sixteen clients that change states as fast as they can, one of them a hundred at once."""
    states = [{"flow_run_id": world.hostile_run, "state": RUNNING, "version": None}]
    text = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"
    single = graphql_body(text, input={"states": states})
    batch = b"[" + b",".join([single] * 100) + b"]"
    await asyncio.gather(
        *(post(world.port, single, world.hostile_key) for _ in range(15)),
        post(world.port, batch, world.hostile_key),
    )


async def strangers_with_guesses(world: World, held: AsyncExitStack) -> None:
    """Connections without end from the victim's own address, each with a key that nobody has."""
    guesses: list[socket.socket] = []

    def close(most: int) -> None:
        while len(guesses) > most:
            guesses.pop(0).close()

    held.callback(close, 0)
    while True:
        for _ in range(_STRANGERS // _TURNS):
            client = socket.socket()
            client.setblocking(False)
            guesses.append(client)
            with suppress(BlockingIOError):
                client.connect(("127.0.0.1", world.port))
            with suppress(OSError):
                client.send(request_head(100, f"hw_{new_id()}"))
        await asyncio.sleep(1 / _TURNS)
        close(1_500)


async def connections_that_stay(world: World, held: AsyncExitStack) -> None:
    """Answered once, and open from then on."""
    for _ in range(1_200):
        await _hold(world, held, b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await asyncio.Event().wait()


async def large_variables(world: World, _held: AsyncExitStack) -> None:
    """Documents that are new each time, so that no plan takes their megabytes of values."""
    states = [{"flow_run_id": world.hostile_run, "state": RUNNING, "version": None}] * 4_000
    text = (
        f"mutation Of{str(new_id()).replace('-', '')}($input: set_flow_run_states_input!)"
        " { __typename set_flow_run_states(input: $input) { states { id } } }"
    )
    body = graphql_body(text, input={"states": states})
    await asyncio.gather(*(post(world.port, body, world.hostile_key) for _ in range(3)))


# what a tenant may well want, in bulk


async def bulk_actions(world: World, _held: AsyncExitStack) -> None:
    """States of many runs set again and again."""
    text = "mutation($input: bulk_flow_runs_input!) { bulk_flow_runs(input: $input) { finished } }"
    given = {"action": "SET_STATE", "where": {}, "state": RUNNING}
    await asyncio.gather(
        *(
            post(
                world.port,
                graphql_body(text, input={**given, "request_key": str(new_id())}),
                world.hostile_key,
            )
            for _ in range(4)
        )
    )


async def downloads(world: World, _held: AsyncExitStack) -> None:
    """A long log and a long table, eight times at once, packed and not."""
    log = f"/api/flow-runs/{world.hostile_run}/logs"
    paths = [log, f"{log}?format=ndjson&gzip=true", "/api/tables/flow_run.csv"]
    await asyncio.gather(*(_download(world, paths[n % 3]) for n in range(8)))


async def _download(world: World, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port, local_addr=_ELSEWHERE)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            f"authorization: Bearer {world.hostile_key}\r\n\r\n".encode()
        )
        with suppress(ConnectionError):
            while await reader.read(MEGABYTE):
                pass
    finally:
        writer.transport.abort()


async def event_streams(world: World, held: AsyncExitStack) -> None:
    """As many as a key may have, and nobody reads them."""
    request = f"GET /events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {world.hostile_key}\r\n\r\n"
    for _ in range(120):
        await _hold(world, held, request.encode())
    await asyncio.Event().wait()


async def log_lines(world: World, _held: AsyncExitStack) -> None:
    """As fast as they are taken, four clients of two thousand lines a request."""
    line = {"flow_run_id": world.hostile_run, "message": "x" * 100, "level": "INFO", "name": "x"}
    text = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }"
    body = graphql_body(text, input={"logs": [line] * 2_000})
    await asyncio.gather(*(post(world.port, body, world.hostile_key) for _ in range(4)))


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
        strangers_with_guesses,
        connections_that_stay,
        large_variables,
    )
}
FLOODS: dict[str, Attack] = {
    flood.__name__: flood for flood in (bulk_actions, downloads, event_streams, log_lines)
}
