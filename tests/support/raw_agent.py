"""An agent of no machine: it speaks the protocol, message by message, and runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import TypeAdapter

from libs.contracts import agents
from libs.contracts.base import Message, Refused, Rpc
from libs.contracts.subjects import agent_inbox
from libs.runtime.ids import new_id


@dataclass(slots=True, kw_only=True)
class RawAgent:
    """One session on one connection. Answers to claims arrive in `claimed`."""

    client: Client
    tenant_id: UUID
    labels: list[str] = field(default_factory=list)
    session: UUID = field(default_factory=new_id)
    agent_id: UUID = field(default_factory=new_id)
    claimed: asyncio.Queue[agents.Claimed | Refused] = field(default_factory=asyncio.Queue)
    acknowledges: bool = True
    inbox: str = ""

    async def listen(self) -> None:
        """Open the inbox for answers to claims."""
        self.inbox = self.client.new_inbox()
        await self.client.subscribe(self.inbox, cb=self._on_claimed)
        await self.client.flush()

    async def hello(self, **fields: Any) -> agents.Welcome | Refused:
        """Introduce the agent, and remember who the ledger says it is."""
        request = agents.Hello(
            **{
                "protocols": [1],
                "session": self.session,
                "name": "raw",
                "labels": self.labels,
                "capacity": 1,
                "version": "test",
            }
            | fields
        )
        answer: agents.Welcome | Refused = await self.ask(agents.HELLO, request)
        if isinstance(answer, agents.Welcome):
            self.agent_id = answer.agent_id
        return answer

    async def claim(
        self,
        *,
        capacity: int = 1,
        wait: float = 0.0,
        claim_id: UUID | None = None,
        is_repeated: bool = False,
        expires_silently: bool = False,
    ) -> UUID:
        """Send a claim; its id."""
        claim_id = claim_id or new_id()
        request = agents.Claim(
            session=self.session,
            agent_id=self.agent_id,
            claim_id=claim_id,
            labels=self.labels,
            capacity=capacity,
            wait=wait,
            is_repeated=is_repeated,
            expires_silently=expires_silently,
        )
        await self.client.publish(
            agents.CLAIM.subject.at(tenant_id=self.tenant_id),
            request.model_dump_json().encode(),
            reply=self.inbox,
        )
        return claim_id

    async def claimed_runs(self, *, within: float = 20.0) -> list[agents.ClaimedRun]:
        """The runs of the next answer."""
        answer = await asyncio.wait_for(self.claimed.get(), within)
        assert isinstance(answer, agents.Claimed), answer
        return answer.runs

    async def take(self, **fields: Any) -> list[agents.ClaimedRun]:
        """Claim, and the runs of the answer."""
        await self.claim(**fields)
        return await self.claimed_runs(within=fields.get("wait", 0.0) + 20.0)

    async def renew(self, *runs: agents.ClaimedRun) -> list[agents.Renewal]:
        """Renew these runs' leases."""
        held = [
            agents.HeldLease(flow_run_id=run.flow_run_id, lease_token=run.lease_token)
            for run in runs
        ]
        answer = await self.ask(
            agents.RENEW, agents.Renew(session=self.session, agent_id=self.agent_id, held=held)
        )
        assert isinstance(answer, agents.Renewed), answer
        return list(answer.renewals)

    async def report(
        self, run: agents.ClaimedRun, outcome: agents.Outcome, **fields: Any
    ) -> agents.Reported | Refused:
        """Say how the run's process ended."""
        request = agents.Report(
            session=self.session,
            agent_id=self.agent_id,
            flow_run_id=run.flow_run_id,
            lease_token=run.lease_token,
            outcome=outcome,
            **fields,
        )
        answer: agents.Reported | Refused = await self.ask(agents.REPORT, request)
        return answer

    async def ask(self, rpc: Rpc[Any, Any], request: Message) -> Any:
        """One request and its answer."""
        reply = await self.client.request(
            rpc.subject.at(tenant_id=self.tenant_id),
            request.model_dump_json().encode(),
            timeout=10,
        )
        return _adapter(rpc).validate_json(reply.data)

    async def _on_claimed(self, message: Msg) -> None:
        if message.headers and message.headers.get("Status") == "503":
            return
        if message.reply and self.acknowledges:
            await message.respond(b"")
        self.claimed.put_nowait(_adapter(agents.CLAIM).validate_json(message.data))


@cache
def _adapter(rpc: Rpc[Any, Any]) -> TypeAdapter[Any]:
    return rpc.adapter()


@asynccontextmanager
async def raw_agent(nats_url: str, tenant_id: UUID, *labels: str) -> AsyncIterator[RawAgent]:
    """A connected agent that has not said hello."""
    client = await nats.connect(
        nats_url, allow_reconnect=False, inbox_prefix=agent_inbox(tenant_id)
    )
    agent = RawAgent(client=client, tenant_id=tenant_id, labels=sorted(labels))
    try:
        await agent.listen()
        yield agent
    finally:
        if not client.is_closed:
            await client.close()
