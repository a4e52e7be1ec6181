"""GraphQL subscriptions as independent clients of `graphql-transport-ws` see them, on real engines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from services.gateway.subscriptions import handler, listening
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.gql import Gql
from tests.support.streaming import (
    FIRST,
    a_key,
    a_run,
    another_tenants_key,
    first_administrator,
    set_state,
    streaming_gateway,
)
from tests.support.subscriber import PATIENCE, PROTOCOL, closing, hear, say, socket_at

RUNS = """
subscription($run: UUID, $flow: UUID, $after: String) {
    flow_run_events(flow_run_id: $run, flow_id: $flow, after: $after) {
        status reason cursor events { kind id change version state flow_id }
    }
}
"""


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with streaming_gateway(stack) as gateway:
        yield gateway


@pytest.fixture
async def admin(gateway: Gateway) -> AsyncIterator[Gql]:
    async with first_administrator(gateway) as gql:
        yield gql


class Heard:
    """The messages of one subscription of the library `gql`."""

    def __init__(self, results: AsyncIterator[dict[str, Any]]) -> None:
        self._results = results
        self.cursor: str | None = None

    async def next(self, status: str) -> dict[str, Any]:
        """The next message of this status; those before are passed over."""
        async with asyncio.timeout(PATIENCE):
            async for result in self._results:
                [message] = result.values()
                self.cursor = message["cursor"] or self.cursor
                if message["status"] == status:
                    found: dict[str, Any] = message
                    return found
        raise AssertionError(f"the subscription ended without {status}")

    async def event(self, id_: str, state: str | None = None) -> dict[str, Any]:
        """The next event of this object, in this state."""
        while True:
            for event in (await self.next("hints"))["events"]:
                if event["id"] == id_ and state in (None, event.get("state")):
                    found: dict[str, Any] = event
                    return found


@asynccontextmanager
async def subscribed(
    gateway: Gateway, document: str, *, key: str = FIRST, in_header: bool = False, **variables: Any
) -> AsyncIterator[Heard]:
    """A subscription; it has begun when the block begins."""
    shown = {"authorization": f"Bearer {key}"}
    transport = WebsocketsTransport(
        url=address(gateway),
        headers=shown if in_header else None,
        init_payload={} if in_header else shown,
        subprotocols=[PROTOCOL],
    )
    async with Client(transport=transport) as session:
        request = gql(document)
        request.variable_values = variables
        # Closed before the session: the library would wait ten seconds for what it still listens to.
        async with aclosing(session.subscribe(request)) as results:
            heard = Heard(results)
            await heard.next("open")
            yield heard


def address(gateway: Gateway) -> str:
    return f"ws://127.0.0.1:{gateway.port}/graphql"


async def refused(gateway: Gateway, document: str, *, key: str = FIRST, **variables: Any) -> str:
    """The sentence in which a subscription is refused."""
    with pytest.raises(TransportQueryError) as caught:
        async with subscribed(gateway, document, key=key, **variables):
            pass
    [error] = caught.value.errors or []
    return str(error["message"])


def bare(gateway: Gateway, **how: Any) -> AbstractAsyncContextManager[ClientConnection]:
    """A socket without a library of the protocol."""
    return socket_at(f"http://127.0.0.1:{gateway.port}", **how)


SHOWN = {"authorization": f"Bearer {FIRST}"}


@pytest.mark.parametrize("in_header", [False, True])
async def test_a_new_state_is_told_with_its_version(
    gateway: Gateway, admin: Gql, *, in_header: bool
) -> None:
    flow, run = await a_run(admin)

    async with subscribed(gateway, RUNS, in_header=in_header, run=run) as heard:
        await set_state(admin, run, "Running", 1)
        event = await heard.event(run, "Running")

    assert event == {
        "kind": "flow_run", "id": run, "change": "state_changed", "version": 2, "state": "Running", "flow_id": flow,
    }  # fmt: skip


async def test_who_comes_back_with_a_cursor_is_told_what_happened_meanwhile(
    gateway: Gateway, admin: Gql
) -> None:
    flow, run = await a_run(admin)
    async with subscribed(gateway, RUNS, flow=flow) as heard:
        cursor = heard.cursor
    await set_state(admin, run, "Running", 1)

    async with subscribed(gateway, RUNS, flow=flow, after=cursor) as heard:
        event = await heard.event(run, "Running")

    assert event["version"] == 2


async def test_what_cannot_be_told_any_more_is_said(gateway: Gateway) -> None:
    async with subscribed(gateway, RUNS, after="0-1") as heard:
        gap = await heard.next("gap")

    assert gap["reason"] == "the event stream was made anew since your last id"


async def test_new_log_lines_are_told_when_they_can_be_read(gateway: Gateway, admin: Gql) -> None:
    _, run = await a_run(admin)
    document = (
        "subscription($run: UUID!) { logs(flow_run_id: $run) { status cursor events { id } } }"
    )

    async with subscribed(gateway, document, run=run) as heard:
        await admin(
            "mutation($l: [write_run_log_input!]!) { write_run_logs(input: {logs: $l}) { success } }",
            l=[{"flow_run_id": run, "message": "hello", "level": "INFO", "name": "x"}],
        )
        await heard.event(run)
        lines = await admin(
            "query($r: uuid!) { log(where: {flow_run_id: {_eq: $r}}) { message } }", r=run
        )

    assert lines["log"] == [{"message": "hello"}]


async def test_a_task_runs_new_state_is_told_with_its_flow_run(
    gateway: Gateway, admin: Gql
) -> None:
    flow, run = await a_run(admin)
    found = await admin(
        "query($f: uuid!) { task(where: {flow_id: {_eq: $f}}, limit: 1) { id } }", f=flow
    )
    made = await admin(
        "mutation($i: get_or_create_task_run_input!) { get_or_create_task_run(input: $i) { id } }",
        i={"flow_run_id": run, "task_id": found["task"][0]["id"], "map_index": -1},
    )
    task_run = made["get_or_create_task_run"]["id"]
    document = (
        "subscription($run: UUID) { task_run_events(flow_run_id: $run)"
        " { status cursor events { id state flow_run_id } } }"
    )

    async with subscribed(gateway, document, run=run) as heard:
        await set_state(admin, run, "Running", 1)
        await admin(
            "mutation($i: set_task_run_states_input!) { set_task_run_states(input: $i) { states { status } } }",
            i={"states": [{"task_run_id": task_run, "version": 0, "state": {"type": "Running"}}]},
        )
        event = await heard.event(task_run, "Running")

    assert event == {"id": task_run, "state": "Running", "flow_run_id": run}


async def test_an_agent_that_registers_is_told(gateway: Gateway, admin: Gql) -> None:
    async with subscribed(
        gateway, "subscription { agent_events { status cursor events { kind id } } }"
    ) as heard:
        made = await admin(
            'mutation($n: String!) { register_agent(input: {type: "LocalAgent", name: $n, labels: []}) { id } }',
            n=f"a-{new_id()}",
        )
        event = await heard.event(made["register_agent"]["id"])

    assert event["kind"] == "agent"


async def test_another_tenants_runs_are_not_told_and_its_ids_are_as_unknown_as_any(
    gateway: Gateway, admin: Gql
) -> None:
    flow, run = await a_run(admin)
    key = await another_tenants_key(gateway)
    nobodys = str(new_id())
    other_headers = {"authorization": f"Bearer {key}"}

    texts = {
        (field, id_): await refused(gateway, RUNS, key=key, **{field: id_})
        for field, ids in (("run", (run, nobodys)), ("flow", (flow, nobodys)))
        for id_ in ids
    }
    async with (
        Gql(f"http://127.0.0.1:{gateway.port}", headers=other_headers) as other,
        subscribed(gateway, RUNS, key=key) as heard,
    ):
        await set_state(admin, run, "Running", 1)
        _, own = await a_run(other)
        first = (await heard.next("hints"))["events"]

    for (field, id_), text in texts.items():
        what = "flow run" if field == "run" else "flow or flow group"
        name = "flow_run_id" if field == "run" else "flow_id"
        assert text == f"{name}: there is no {what} {id_}."
    assert {event["id"] for event in first} == {own}


@pytest.mark.parametrize(
    ("document", "variables", "text"),
    [
        ("subscription { flow_run_events { nothing } }", {}, "Cannot query field 'nothing'"),
        ("subscription { flow_run_events {", {}, "Syntax Error"),
        (RUNS, {"run": "no id"}, "Variable '$run' has invalid value: Could not parse UUID: no id"),
        (RUNS, {"after": "no cursor"}, "after: 'no cursor' is no id of this stream."),
        ("{ api { version } }", {}, "A socket answers subscriptions; send this query as POST"),
        (
            "subscription { a: agent_events { status } b: agent_events { status } }",
            {},
            "must select only one",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence_and_costs_nothing_else(
    gateway: Gateway, document: str, variables: dict[str, str], text: str
) -> None:
    async with bare(gateway, init=SHOWN) as socket:
        await say(
            socket, type="subscribe", id="1", payload={"query": document, "variables": variables}
        )
        answer = await hear(socket)
        await say(socket, type="ping")
        assert await hear(socket) == {"type": "pong"}

    assert (answer["type"], answer["id"]) == ("error", "1")
    assert text in answer["payload"][0]["message"]


async def test_a_socket_ends_with_its_key_and_says_why(gateway: Gateway, admin: Gql) -> None:
    id_, key = await a_key(admin)

    shown = {"authorization": f"Bearer {key}"}
    async with bare(gateway, init=shown) as idle, bare(gateway, init=shown) as busy:
        await say(busy, type="subscribe", id="1", payload={"query": RUNS})
        assert (await hear(busy))["type"] == "next"
        await admin(
            "mutation($i: UUID!) { delete_api_key(input: {key_id: $i}) { success } }", i=id_
        )
        ends = [await closing(busy), await closing(idle)]

    assert {code for code, _ in ends} == {4403}
    assert all("revoked" in reason for _, reason in ends)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({}, "an API key is required"),
        ({"authorization": "Bearer hw_unknown"}, "unknown, revoked or expired"),
        ({"headers": {"Authorization": "Bearer hw_unknown"}}, "unknown, revoked or expired"),
    ],
)
async def test_nobody_listens_without_a_key(
    gateway: Gateway, payload: dict[str, Any], text: str
) -> None:
    async with bare(gateway) as socket:
        await say(socket, type="connection_init", payload=payload)
        code, reason = await closing(socket)

    assert code == 4403
    assert text in reason


async def test_a_subscription_before_the_key_is_shown_is_refused(gateway: Gateway) -> None:
    async with bare(gateway) as socket:
        await say(socket, type="subscribe", id="1", payload={"query": RUNS})

        assert await closing(socket) == (4401, "Unauthorized")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "A message must be JSON."),
        ("[1]", "type: a message is an object of type"),
        ('{"type": ["ping"]}', "type: a message is an object of type"),
        ('{"type": "subscribe", "payload": {"query": "x"}}', "id: an operation has"),
        ('{"type": "subscribe", "id": "1", "payload": []}', "payload.query: a subscription is"),
        ('{"type": "subscribe", "id": "1", "payload": {"query": "x", "variables": 0}}', "payload.variables:"),
        ('{"type": "complete", "id": 5}', "id: an operation has"),
        (b"\x00\x01", "A message must be text."),
    ],
)  # fmt: skip
async def test_a_message_that_is_none_closes_the_socket_with_a_sentence(
    gateway: Gateway, text: str | bytes, reason: str
) -> None:
    async with bare(gateway, init=SHOWN) as socket:
        await socket.send(text)
        code, said = await closing(socket)

    assert code == 4400
    assert said.startswith(reason)


async def test_a_message_of_more_than_64_kib_is_not_taken(gateway: Gateway) -> None:
    async with bare(gateway, init=SHOWN) as socket:
        await say(socket, type="ping", payload={"x": "y" * (64 << 10)})

        code, _ = await closing(socket)

    assert code == 1009


async def test_a_key_has_so_many_subscriptions_and_streams_together_and_no_more(
    gateway: Gateway,
) -> None:
    # Of a tenant where nothing happens: each message is the answer to a request.
    key = await another_tenants_key(gateway)
    async with (
        bare(gateway, init={"authorization": f"Bearer {key}"}) as socket,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client,
        client.stream("GET", "/events", headers={"authorization": f"Bearer {key}"}) as stream,
    ):
        answers = []
        for number in range(3):
            await say(socket, type="subscribe", id=str(number), payload={"query": RUNS})
            answers.append(await hear(socket))

    assert stream.status_code == 200
    assert [answer["type"] for answer in answers] == ["next", "next", "error"]
    assert answers[2]["payload"][0]["message"].startswith("This key has 3 event streams open")


async def test_a_key_has_so_many_sockets_and_no_more(gateway: Gateway, admin: Gql) -> None:
    _, key = await a_key(admin)
    shown = {"authorization": f"Bearer {key}"}
    async with (
        bare(gateway, init=shown),
        bare(gateway, init=shown),
        bare(gateway, init=shown),
        bare(gateway) as fourth,
    ):
        await say(fourth, type="connection_init", payload=shown)
        code, reason = await closing(fourth)

    assert (code, reason[:26]) == (4429, "This key has 3 sockets ope")


async def test_another_subprotocol_is_refused(gateway: Gateway) -> None:
    async with connect(address(gateway), subprotocols=[Subprotocol("graphql-ws")]) as socket:
        code, reason = await closing(socket)

    assert (code, reason) == (4406, "Ask for the subprotocol graphql-transport-ws.")


async def test_another_address_has_no_socket(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{gateway.port}/events", subprotocols=[PROTOCOL]):
            pass

    assert caught.value.response.status_code == 404


async def test_a_page_with_a_session_listens_from_our_own_origin_alone(gateway: Gateway) -> None:
    own = f"http://127.0.0.1:{gateway.port}"
    async with httpx.AsyncClient(base_url=own, timeout=30) as browser:
        entered = await browser.post(
            "/session", json={"key": FIRST}, headers={"origin": own, "x-headwater": "1"}
        )
        assert entered.status_code == 200
        cookie = {"cookie": "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar)}

    async with bare(gateway, init={}, origin=own, additional_headers=cookie) as socket:
        await say(socket, type="subscribe", id="1", payload={"query": RUNS})
        message = await hear(socket)
    for origin in ("http://elsewhere.example", None):
        with pytest.raises(InvalidStatus) as caught:
            async with bare(gateway, origin=origin, additional_headers=cookie):
                pass
        assert caught.value.response.status_code == 403

    assert message["payload"]["data"]["flow_run_events"]["status"] == "open"


async def test_a_subscription_by_post_is_told_where_to_go(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client:
        answer = await client.post(
            "/graphql", json={"query": "subscription { agent_events { status } }"}, headers=SHOWN
        )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"].startswith(
        "A subscription is answered over WebSocket"
    )


async def test_what_is_completed_is_told_no_more(gateway: Gateway, admin: Gql) -> None:
    _, run = await a_run(admin)
    async with bare(gateway, init=SHOWN) as socket:
        await say(socket, type="subscribe", id="1", payload={"query": RUNS})
        assert (await hear(socket))["type"] == "next"
        await say(socket, type="complete", id="1")
        await eventually(lambda: not gateway._push.hub.streams)
        await say(socket, type="subscribe", id="1", payload={"query": RUNS})
        again = await hear(socket)
        await set_state(admin, run, "Running", 1)
        message = await hear(socket)

    assert [again["id"], message["id"]] == ["1", "1"]


async def test_who_never_says_who_it_is_is_sent_away(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "INIT_TIMEOUT", timedelta(seconds=0.2))

    async with bare(gateway) as socket:
        code, reason = await closing(socket)

    assert (code, reason) == (4408, "Connection initialisation timeout")


async def test_a_socket_has_twenty_subscriptions_and_no_more(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "MOST_OPERATIONS", 2)
    # As above.
    key = await another_tenants_key(gateway)

    async with bare(gateway, init={"authorization": f"Bearer {key}"}) as socket:
        for number in range(3):
            await say(socket, type="subscribe", id=str(number), payload={"query": RUNS})
        answers = [await hear(socket) for _ in range(3)]

    refused = [answer for answer in answers if answer["type"] == "error"]
    assert [answer["payload"][0]["message"] for answer in refused] == ["Subscription limit reached"]
    assert len(answers) == 3


async def test_who_takes_nothing_is_closed_with_a_reason(gateway: Gateway, admin: Gql) -> None:
    async with bare(gateway, init=SHOWN) as socket:
        await say(socket, type="subscribe", id="1", payload={"query": RUNS})
        assert (await hear(socket))["type"] == "next"
        # Those of the test before may still be leaving.
        await eventually(lambda: len(gateway._push.hub) == 1)
        [stream] = gateway._push.hub.streams
        stream.end("slow_reader", "You read too slowly; come back with your last id.")

        code, reason = await closing(socket)

    assert (code, reason) == (1013, "You read too slowly; come back with your last id.")


async def test_a_cursor_moves_on_while_only_others_are_told_something(
    gateway: Gateway, admin: Gql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "QUIET", 0.2)
    async with subscribed(gateway, RUNS) as heard:
        _, quiet = await a_run(admin)
        _, busy = await a_run(admin)
        # Told in order: so nothing of the quiet one is still to come.
        await heard.event(busy)

    async with subscribed(gateway, RUNS, run=quiet) as heard:
        before = heard.cursor
        await set_state(admin, busy, "Running", 1)
        moved = await heard.next("hints")

    assert moved["events"] == []
    assert moved["cursor"] != before
