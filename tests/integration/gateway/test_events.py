"""`GET /events` as an independent client of server-sent events sees it, on real engines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent, aconnect_sse

from libs.runtime.ids import new_id
from services.gateway.app import Gateway
from tests.support.engines import Stack
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

PATIENCE = 20.0  # seconds


@pytest.fixture(scope="module")
async def gateway(stack: Stack) -> AsyncIterator[Gateway]:
    async with streaming_gateway(stack) as gateway:
        yield gateway


@pytest.fixture
async def admin(gateway: Gateway) -> AsyncIterator[Gql]:
    async with first_administrator(gateway) as gql:
        yield gql


class Heard:
    """The messages of one stream."""

    def __init__(self, source: EventSource) -> None:
        self.status = source.response.status_code
        self._messages = source.aiter_sse()
        self.last_id = ""

    async def next(self, event: str) -> dict[str, Any]:
        """The body of the next message of this kind; those before are passed over."""
        async with asyncio.timeout(PATIENCE):
            async for message in self._messages:
                self.last_id = message.id or self.last_id
                if message.event == event:
                    body: dict[str, Any] = message.json()
                    return body
        raise AssertionError(f"the stream ended without {event}")

    async def hint(self, kind: str, id_: str, *, state: str | None = None) -> dict[str, Any]:
        """The next hint of this object, in this state; the making of a run may be told before."""
        while True:
            for hint in (await self.next("hints"))["hints"]:
                if (hint["kind"], hint["id"]) == (kind, id_) and state in (None, hint.get("state")):
                    found: dict[str, Any] = hint
                    return found

    async def rest(self) -> list[ServerSentEvent]:
        """Whatever comes until the stream ends."""
        async with asyncio.timeout(PATIENCE):
            return [message async for message in self._messages]


@asynccontextmanager
async def listening(
    gateway: Gateway, key: str = FIRST, *, last_id: str | None = None, **asked: str
) -> AsyncIterator[Heard]:
    """A stream; it is open when the block begins."""
    headers = {"authorization": f"Bearer {key}"}
    if last_id is not None:
        headers["last-event-id"] = last_id
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=PATIENCE) as client,
        aconnect_sse(client, "GET", "/events", headers=headers, params=asked) as source,
    ):
        heard = Heard(source)
        await heard.next("open")
        yield heard


async def refused(gateway: Gateway, key: str | None = FIRST, **asked: str) -> tuple[int, str]:
    """The status and the sentence of a stream that is refused."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client:
        answer = await client.get("/events", headers=headers, params=asked)
    return answer.status_code, answer.json()["errors"][0]["message"]


async def test_a_new_state_is_hinted_with_its_version(gateway: Gateway, admin: Gql) -> None:
    flow, run = await a_run(admin)

    async with listening(gateway, flow_run=run) as heard:
        await set_state(admin, run, "Running", 1)
        hint = await heard.hint("flow_run", run, state="Running")

    assert hint == {
        "kind": "flow_run",
        "id": run,
        "change": "state_changed",
        "version": 2,
        "state": "Running",
        "flow_id": flow,
    }


async def test_who_comes_back_is_told_what_happened_meanwhile(gateway: Gateway, admin: Gql) -> None:
    _, run = await a_run(admin)
    async with listening(gateway) as heard:
        last = heard.last_id

    async with listening(gateway) as other:
        await set_state(admin, run, "Running", 1)
        await other.hint("flow_run", run, state="Running")
    async with listening(gateway, last_id=last) as heard:
        hint = await heard.hint("flow_run", run, state="Running")

    assert hint["version"] == 2


@pytest.mark.parametrize("lost", ["zzz-1", "{life}-999999999"])
async def test_what_cannot_be_told_any_more_is_said(gateway: Gateway, lost: str) -> None:
    async with listening(gateway) as heard:
        life = heard.last_id.split("-")[0]

    async with listening(gateway, last_id=lost.format(life=life)) as heard:
        gap = await heard.next("gap")

    assert "your last id" in gap["reason"]


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ({"kinds": "flow_run,weather"}, 400, "kinds: there is no kind 'weather'"),
        ({"flow_run": "x"}, 400, "flow_run: 'x' is not an id"),
        ({"last_event_id": "nonsense"}, 400, "Last-Event-ID: 'nonsense' is no id"),
        ({"colour": "red"}, 400, "There is no parameter 'colour'"),
        ({"flow": str(new_id())}, 404, "flow: there is no flow"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence(
    gateway: Gateway, asked: dict[str, str], status: int, says: str
) -> None:
    code, text = await refused(gateway, **asked)

    assert code == status
    assert text.startswith(says)


async def test_nobody_listens_without_a_key(gateway: Gateway) -> None:
    status, text = await refused(gateway, None)

    assert status == 401
    assert "API key is required" in text


async def test_another_tenants_events_and_ids_do_not_exist(gateway: Gateway, admin: Gql) -> None:
    theirs = await another_tenants_key(gateway)
    _, run = await a_run(admin)
    unknown = str(new_id())

    status, text = await refused(gateway, theirs, flow_run=run)
    async with listening(gateway, theirs) as heard, listening(gateway) as ours:
        await set_state(admin, run, "Running", 1)
        await ours.hint("flow_run", run, state="Running")
        url, headers = (
            f"http://127.0.0.1:{gateway.port}",
            {"authorization": f"Bearer {theirs}"},
        )
        async with Gql(url, headers=headers) as own:
            await own('mutation { create_project(input: {name: "theirs"}) { id } }')
        first = (await heard.next("hints"))["hints"]

    assert (status, text) == (404, f"flow_run: there is no flow run {run}.")
    assert await refused(gateway, theirs, flow_run=unknown) == (404, text.replace(run, unknown))
    assert {hint["kind"] for hint in first} == {"project"}


async def test_a_stream_ends_with_its_key(gateway: Gateway, admin: Gql) -> None:
    id_, key = await a_key(admin)

    async with listening(gateway, key) as heard:
        await admin(
            "mutation($i: UUID!) { delete_api_key(input: {key_id: $i}) { success } }", i=id_
        )
        rest = await heard.rest()

    # What others did before may be told first.
    said = [message.event for message in rest if message.event not in ("message", "hints")]
    assert said == ["end"]
    assert rest[-1].json()["reason"] == "unauthenticated"


async def test_a_key_has_so_many_streams_and_no_more(gateway: Gateway, admin: Gql) -> None:
    _, key = await a_key(admin)
    async with AsyncExitStack() as exits:
        for _ in range(3):
            await exits.enter_async_context(listening(gateway, key))

        status, text = await refused(gateway, key)

    assert status == 429
    assert text.startswith("This key has 3 event streams open")


async def test_new_log_lines_are_hinted_when_they_can_be_read(gateway: Gateway, admin: Gql) -> None:
    _, run = await a_run(admin)

    async with listening(gateway, kinds="log") as heard:
        await admin(
            "mutation($l: [write_run_log_input!]!) { write_run_logs(input: {logs: $l}) { success } }",
            l=[{"flow_run_id": run, "message": "hello", "level": "INFO", "name": "x"}],
        )
        await heard.hint("log", run)
        lines = await admin(
            "query($r: uuid!) { log(where: {flow_run_id: {_eq: $r}}) { message } }", r=run
        )

    assert lines["log"] == [{"message": "hello"}]


async def test_a_task_runs_new_state_is_hinted_with_its_flow_run(
    gateway: Gateway, admin: Gql
) -> None:
    flow, run = await a_run(admin)
    task = (
        await admin(
            "query($f: uuid!) { task(where: {flow_id: {_eq: $f}}, limit: 1) { id } }", f=flow
        )
    )["task"][0]["id"]
    made = await admin(
        "mutation($i: get_or_create_task_run_input!) { get_or_create_task_run(input: $i) { id } }",
        i={"flow_run_id": run, "task_id": task, "map_index": -1},
    )
    task_run = made["get_or_create_task_run"]["id"]

    async with listening(gateway, kinds="task_run", flow_run=run) as heard:
        await set_state(admin, run, "Running", 1)
        await admin(
            "mutation($i: set_task_run_states_input!) { set_task_run_states(input: $i) { states { status } } }",
            i={"states": [{"task_run_id": task_run, "version": 0, "state": {"type": "Running"}}]},
        )
        hint = await heard.hint("task_run", task_run, state="Running")

    assert (hint["flow_run_id"], hint["state"]) == (run, "Running")
    assert hint["version"] >= 1


async def test_an_agent_that_registers_is_hinted(gateway: Gateway, admin: Gql) -> None:
    async with listening(gateway, kinds="agent") as heard:
        made = await admin(
            'mutation { register_agent(input: {type: "LocalAgent", name: "n", labels: []}) { id } }'
        )
        await heard.hint("agent", made["register_agent"]["id"])
