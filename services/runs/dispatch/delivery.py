"""Messages of dispatch: answers to claims, and hints to agents and other replicas that runs are due."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import nats.errors
import structlog
from nats.aio.msg import Msg

from libs.contracts import agents, subjects
from libs.contracts.agents import ClaimedRun, Outcome
from libs.contracts.base import Message
from libs.runtime.background import Background
from libs.runtime.bus import Bus
from services.runs.dispatch.dispatcher import OpenClaim
from services.runs.dispatch.domain import Labels
from services.runs.dispatch.leases import LeaseStore

_GATHERED = 0.005
"""Seconds; all commits within them are one hint to other replicas."""


class Delivery:
    """Sends in the background. `replica` names this process; `due` is called when undelivered runs were queued
    again."""

    def __init__(
        self,
        bus: Bus,
        leases: LeaseStore,
        *,
        log: structlog.typing.FilteringBoundLogger,
        replica: UUID,
        acknowledge: float,
        due: Callable[[UUID], None],
    ) -> None:
        self._bus = bus
        self._leases = leases
        self._log = log
        self._replica = str(replica).encode()
        self._acknowledge = acknowledge
        self._due = due
        self._announcing: set[UUID] = set()
        self.background = Background(log, "dispatch_step_failed")

    async def finish(self) -> None:
        """Wait for messages being sent, as long as an agent may take to acknowledge one."""
        await self.background.finish(within=self._acknowledge)

    # answers

    def deliver(self, claim: OpenClaim, runs: list[ClaimedRun]) -> None:
        """Answer a claim with these runs, or with none."""
        self.background.run(self._send(claim, runs))

    async def _send(self, claim: OpenClaim, runs: list[ClaimedRun]) -> None:
        """Answer a claim. With runs it is a request, so that the broker reports an agent that is gone."""
        body = _json(agents.Claimed(claim_id=claim.request.claim_id, runs=runs))
        client = self._bus.client
        if not runs:
            await client.publish(claim.reply, body)
            return
        try:
            await client.request(claim.reply, body, timeout=self._acknowledge)
        except nats.errors.NoRespondersError:
            self._log.info(
                "claiming_agent_gone", agent_id=str(claim.request.agent_id), returned=len(runs)
            )
            for run in runs:
                await self._leases.end(
                    claim.tenant_id,
                    run.flow_run_id,
                    run.lease_token,
                    Outcome.RETURNED,
                    exit_code=None,
                    message="The agent that took this run had gone.",
                )
            self._due(claim.tenant_id)
        except (nats.errors.Error, TimeoutError):
            # The agent may have it or not: its renewal shows it, or the first lease expires.
            self._log.info("claim_unacknowledged", agent_id=str(claim.request.agent_id))

    # hints

    def signal_work_ready(self, tenant_id: UUID, sets: list[Labels]) -> None:
        """Tell agents without a waiting claim that runs with these label sets are due."""
        self._signal_agents(tenant_id, agents.WorkReady(labels=[sorted(labels) for labels in sets]))

    def signal_pause(self, tenant_id: UUID, is_paused: bool) -> None:
        """Tell agents that their work queue was paused, or resumed."""
        self._signal_agents(tenant_id, agents.WorkReady(queue_is_paused=is_paused))

    def _signal_agents(self, tenant_id: UUID, body: agents.WorkReady) -> None:
        subject = subjects.SIG_AGENT_WORK_READY.at(tenant_id=tenant_id)
        said = body.model_dump_json(exclude_none=True).encode()
        self.background.run(self._bus.signal(subject, said))

    def announce_due(self, tenant_id: UUID) -> None:
        """Tell other replicas, which may have waiting claims, that runs of this tenant are due."""
        if tenant_id not in self._announcing:
            self._announcing.add(tenant_id)
            self.background.run(self._signal_due(tenant_id))

    async def _signal_due(self, tenant_id: UUID) -> None:
        await asyncio.sleep(_GATHERED)
        self._announcing.discard(tenant_id)
        await self._bus.signal(subjects.SIG_RUN_DUE.at(tenant_id=tenant_id), self._replica)

    def is_own(self, message: Msg) -> bool:
        """Whether this is a hint of this very replica."""
        return bool(message.data == self._replica)


def _json(body: Message) -> bytes:
    return body.model_dump_json().encode()
