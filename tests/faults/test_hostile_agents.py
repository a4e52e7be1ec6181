"""An agent of one tenant, with its real rights on NATS, tries by headers and reply subjects to reach beyond its tenant.

The rights are those that nats-server gets from the gateway for an API key. Every subject that an agent may publish to
is tried with every header that nats-server obeys somewhere and every kind of reply; a witness watches what is foreign.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.contracts import agents, streams, subjects
from libs.contracts.agent_access import access_of
from libs.contracts.runs import LogBatch, LogLine
from libs.contracts.subjects import agent_inbox
from libs.runtime.ids import new_id
from tests.support.engines import Stack
from tests.support.eventually import eventually
from tests.support.flows import a_flow_run
from tests.support.secured import Secured, secured

VICTIM, RUN = new_id(), new_id()
"""A tenant that the agent does not belong to, and a run of it."""

FOREIGN = [
    subjects.BEAT.at(tenant_id=VICTIM, flow_run_id=RUN),
    subjects.LOG.at(tenant_id=VICTIM, flow_run_id=RUN),
    subjects.LINES.at(tenant_id=VICTIM, flow_run_id=RUN),
    subjects.SIG_AGENT_CANCEL.at(tenant_id=VICTIM, flow_run_id=RUN),
    subjects.SIG_AGENT_WORK_READY.at(tenant_id=VICTIM),
    subjects.SIG_TASK_BEAT.at(tenant_id=VICTIM, task_run_id=RUN),
    subjects.AGENT_DRAIN.at(tenant_id=VICTIM),
    subjects.FLOW_RUN_ZOMBIE_DETECTED.at(flow_run_id=RUN),
    subjects.WORK_RESCHEDULE.at(flow_run_id=RUN),
    subjects.DLQ.at(service="runs", noun=RUN),
    f"hw.silent.{RUN}",
    f"{agent_inbox(VICTIM)}.x",
    f"_INBOX.gateway.{RUN}",
    f"_INBOX.runs.{RUN}",
]
API = [
    "$JS.API.STREAM.PURGE.EVENTS",
    "$JS.API.STREAM.DELETE.DLQ",
    "$JS.API.CONSUMER.DELETE.EVENTS.runs__zombies",
    "$JS.ACK.EVENTS.runs__zombies.1.1.1.1.1",
]


def hostile_headers(target: str) -> Iterator[dict[str, str]]:
    """Every header by which a publisher tells nats-server what to do, one set at a time."""
    yield {}
    for rollup in ("all", "sub"):
        yield {"Nats-Rollup": rollup}
    for schedule in ("@every 1s", "@at 2020-01-01T00:00:00Z"):
        yield {"Nats-Schedule": schedule, "Nats-Schedule-Target": target}
        yield {"Nats-Schedule": schedule, "Nats-Schedule-Target": target, "Nats-Schedule-TTL": "1s"}
    yield {
        "Nats-Schedule": "@every 1s",
        "Nats-Schedule-Target": target,
        "Nats-Schedule-Rollup": "sub",
    }
    yield {"Nats-TTL": "1s"}
    yield {"Nats-Expected-Stream": "EVENTS"}
    yield {"Nats-Expected-Last-Sequence": "0"}
    yield {"Nats-Expected-Last-Subject-Sequence": "7"}
    yield {
        "Nats-Expected-Last-Subject-Sequence": "0",
        "Nats-Expected-Last-Subject-Sequence-Subject": target,
    }
    yield {"Nats-Expected-Last-Msg-Id": "x"}
    yield {"Nats-Msg-Id": "the same"}
    yield {"Nats-Incr": "5"}
    yield {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"}
    yield {"Nats-Marker-Reason": "Purge"}
    yield {"Nats-Trace-Dest": target}
    yield {"Nats-Trace-Dest": target, "Nats-Trace-Only": "true"}
    yield {"Nats-Scheduler": target, "Nats-Schedule-Next": "purge"}
    yield {"Status": "503"}


@pytest.fixture(scope="module")
async def place(stack: Stack) -> AsyncIterator[Secured]:
    async with secured(stack, with_operator=True) as found:
        yield found


class Agent:
    """A bare connection with an API key: a client would not let these through."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.refusals: list[str] = []

    def publish(self, subject: str, headers: dict[str, str], body: bytes, *, reply: str) -> None:
        head = "NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        line = f"HPUB {subject} {reply} {len(head)} {len(head) + len(body)}\r\n{head}"
        self._writer.write(line.encode() + body + b"\r\n")

    async def settled(self) -> None:
        """Return when the server has read all that was written."""
        self._writer.write(b"PING\r\n")
        async with asyncio.timeout(20):
            while (line := await self._reader.readline()) != b"PONG\r\n":
                assert line, "the server closed the connection"
                if line.startswith(b"-ERR"):
                    self.refusals.append(line.decode().strip())

    async def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def an_agent(place: Secured) -> AsyncIterator[Agent]:
    _, key = await place.key()
    reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
    await reader.readline()
    login = {"auth_token": key, "verbose": False, "headers": True}
    writer.write(f"CONNECT {json.dumps(login)}\r\n".encode())
    agent = Agent(reader, writer)
    await agent.settled()
    try:
        yield agent
    finally:
        await agent.close()


@asynccontextmanager
async def a_witness(place: Secured) -> AsyncIterator[tuple[Client, list[Msg]]]:
    """Somebody who hears what comes on foreign subjects."""
    client = await nats.connect(place.server.url("operator"))
    heard: list[Msg] = []

    async def note(message: Msg) -> None:
        heard.append(message)

    for subject in FOREIGN:
        await client.subscribe(subject, cb=note)
    await client.flush()
    try:
        yield client, heard
    finally:
        await client.close()


def lines_of(tenant_id: UUID, run: UUID) -> bytes:
    now = datetime.now(UTC)  # noqa: TID251 - any moment will do
    line = LogLine(id=new_id(), flow_run_id=run, timestamp=now, name="x", level="INFO", message="x")
    return LogBatch(tenant_id=tenant_id, accepted=now, lines=[line]).model_dump_json().encode()


async def kept(client: Client) -> dict[str, object]:
    """The streams that are there, what they hold but log lines, and how they are configured."""
    found = await client.jetstream().streams_info()
    return {
        str(info.config.name): (info.config.as_dict(), info.state.consumer_count)
        + (() if info.config.name == "LOGS" else (info.state.first_seq, info.state.last_seq))
        for info in found
    }


async def test_no_header_and_no_reply_of_an_agent_changes_anything_beyond_its_tenant(
    stack: Stack, place: Secured
) -> None:
    """For every subject that it may publish to."""
    run = await a_flow_run(stack.admin_pool, state="Success", tenant=place.tenant_id)
    own_inbox = f"{agent_inbox(place.tenant_id)}.x"
    allowed = [s.replace("*", str(run)) for s in access_of(place.tenant_id).publish]
    assert allowed

    async with a_witness(place) as (witness, heard), an_agent(place) as agent:
        before = await kept(witness)
        tries = 0
        for subject in allowed:
            for reply in ("", own_inbox, *FOREIGN, *API):
                for target in FOREIGN[:1] if reply in FOREIGN else FOREIGN:
                    for headers in hostile_headers(target):
                        body = lines_of(place.tenant_id, run) if ".log." in subject else b"{}"
                        agent.publish(subject, headers, body, reply=reply)
                        tries += 1
            await agent.settled()
        await everything_is_handled(place, witness)

        assert tries > 5_000
        # The server itself looks where a trace is to go.
        assert all("Permissions Violation for Publish" in refusal for refusal in agent.refusals)
        assert [message.subject for message in heard] == []
        assert await kept(witness) == before


async def everything_is_handled(place: Secured, witness: Client) -> None:
    """An answer to a request that comes behind all others, and a stream that is drained."""
    for _ in range(3):
        await eventually(lambda: asked(place), timeout=30)

    async def drained() -> bool:
        info = await witness.jetstream().consumer_info("LOGS", streams.LOG_DRAIN.name)
        return not info.num_pending and not info.num_ack_pending

    await eventually(drained, timeout=30)


async def asked(place: Secured) -> bool:
    _, key = await place.key()
    url = f"nats://127.0.0.1:{place.server.port}"
    client = await nats.connect(url, token=key, inbox_prefix=agent_inbox(place.tenant_id))
    try:
        request = agents.Drain(session=new_id()).model_dump_json().encode()
        subject = subjects.AGENT_DRAIN.at(tenant_id=place.tenant_id)
        answer = await client.request(subject, request, timeout=5)
        lines = await client.jetstream().publish(
            subjects.LOG.at(tenant_id=place.tenant_id, flow_run_id=RUN),
            lines_of(place.tenant_id, RUN),
            stream="LOGS",
        )
        return b"applied" in answer.data and lines.stream == "LOGS"
    finally:
        await client.close()


async def test_an_agent_that_used_a_message_id_before_does_not_take_another_tenants_line(
    place: Secured,
) -> None:
    run = new_id()
    same = {"Nats-Msg-Id": "everybody's"}
    subject = subjects.LOG.at(tenant_id=place.tenant_id, flow_run_id=run)
    async with an_agent(place) as agent:
        reply = f"{agent_inbox(place.tenant_id)}.x"
        agent.publish(subject, same, lines_of(place.tenant_id, run), reply=reply)
        await agent.settled()
    await asked(place)
    client = await nats.connect(place.server.url("gateway"), inbox_prefix="_INBOX.gateway")

    stored = await client.jetstream().publish(
        subjects.LINES.at(tenant_id=VICTIM, flow_run_id=RUN), lines_of(VICTIM, RUN), headers=same
    )

    await client.close()
    assert not stored.duplicate
