"""Clients that drive runs from creation to Success whatever happens, and remember what they were told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from libs.contracts import runs
from libs.contracts.base import Applied, Refused
from libs.contracts.errors import Code
from libs.contracts.runs import RunKind, StateApplied, StateProposal
from libs.runtime.bus import Bus
from libs.runtime.ids import new_id
from tests.support.ledger import Flow
from tests.support.wire_client import Wire, request

WRITE = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }"
LOGGER = "load"
TRY_AGAIN = {Code.UNAVAILABLE, Code.INTERNAL, Code.BUSY}
LIMITED = "limited"
"""The label of every run and the tag of every task that runs."""
_PATIENCE = 2.0  # seconds for one request; what is killed meanwhile does not answer


@dataclass(slots=True, kw_only=True)
class Load:
    """What was acknowledged, and how often it was not."""

    bus: Bus
    flow: Flow
    created: set[UUID] = field(default_factory=set)
    applied: set[tuple[UUID, int, str]] = field(default_factory=set)
    finished: set[UUID] = field(default_factory=set)
    unanswered: int = 0
    waited: int = 0
    """How often a concurrency limit was full."""

    @classmethod
    async def of(cls, bus: Bus, flow: Flow, *, label_limit: int, tag_limit: int) -> "Load":
        """A load under concurrency limits; the flow's tasks have the tag."""
        load = cls(bus=bus, flow=flow)
        for kind, limit in ((RunKind.FLOW_RUN, label_limit), (RunKind.TASK_RUN, tag_limit)):
            command = runs.SetConcurrencyLimit(
                tenant_id=flow.tenant_id, run_kind=kind, name=LIMITED, limit=limit
            )
            reply = await load._answered(
                partial(bus.call, runs.SET_CONCURRENCY_LIMIT, command, timeout=_PATIENCE)
            )
            assert isinstance(reply, Applied), reply
        return load

    async def drive(self, *, until: asyncio.Event) -> None:
        """One client: run after run, until told to stop; the last one is finished too."""
        while not until.is_set():
            await self.one_run()

    async def one_run(self) -> None:
        """Create a run, claim it, run its task, end it; every step is repeated until it is answered."""
        key = str(new_id())  # the key makes the repetition safe
        run_id = await self._create(key)
        task_id = await self._task_run(run_id)
        for kind, id_, name in (
            (RunKind.FLOW_RUN, run_id, "Submitted"),
            (RunKind.FLOW_RUN, run_id, "Running"),
            (RunKind.TASK_RUN, task_id, "Running"),
            (RunKind.TASK_RUN, task_id, "Success"),
            (RunKind.FLOW_RUN, run_id, "Success"),
        ):
            await self._set(kind, id_, name)
        self.finished.add(run_id)

    async def _create(self, key: str) -> UUID:
        command = runs.CreateFlowRun(
            tenant_id=self.flow.tenant_id,
            flow_id=self.flow.id,
            idempotency_key=key,
            labels=[LIMITED],
        )
        reply = await self._answered(
            lambda: self.bus.call(runs.CREATE_FLOW_RUN, command, timeout=_PATIENCE)
        )
        assert isinstance(reply, runs.FlowRunCreated), reply
        self.created.add(reply.id)
        return reply.id

    async def _task_run(self, run_id: UUID) -> UUID:
        command = runs.GetOrCreateTaskRun(
            tenant_id=self.flow.tenant_id, flow_run_id=run_id, task_id=self.flow.task_ids[0]
        )
        reply = await self._answered(
            lambda: self.bus.call(runs.GET_OR_CREATE_TASK_RUN, command, timeout=_PATIENCE)
        )
        assert isinstance(reply, runs.TaskRunInfo), reply
        return reply.id

    async def _set(self, kind: RunKind, run_id: UUID, name: str) -> None:
        command = runs.SetStates(
            tenant_id=self.flow.tenant_id,
            proposals=[StateProposal(run_kind=kind, run_id=run_id, state={"type": name})],
        )

        async def ask() -> StateApplied | runs.VersionConflict | Refused:
            reply = await self.bus.call(runs.SET_STATES, command, timeout=_PATIENCE)
            return reply if isinstance(reply, Refused) else reply.outcomes[0]

        while True:
            outcome = await self._answered(ask)
            if isinstance(outcome, StateApplied):
                self.applied.add((run_id, outcome.version, outcome.state))
                if outcome.status == "SUCCESS":
                    return
                self.waited += 1  # for a slot, as Core's runners do
            else:
                assert isinstance(outcome, Refused), outcome
                if (name, outcome.code) == ("Submitted", Code.ALREADY_SUBMITTED):
                    return  # the first answer was lost; the claim stands
                assert (name, outcome.code) == ("Submitted", Code.LIMIT_FULL), outcome
                self.waited += 1
            await asyncio.sleep(0.01)

    async def _answered(self, ask: Callable[[], Awaitable[object]]) -> object:
        while True:
            reply = await ask()
            if not isinstance(reply, Refused) or reply.code not in TRY_AGAIN:
                return reply
            self.unanswered += 1
            await asyncio.sleep(0.05)


@dataclass(slots=True, kw_only=True)
class Lines:
    """Log lines of one run, sent through a gateway until each is accepted."""

    run_id: UUID
    accepted: set[str] = field(default_factory=set)
    accepted_at_once: set[str] = field(default_factory=set)
    """Those that were sent once; a line that is sent again because its answer was lost may be there twice."""

    async def drive(self, wire: Wire, *, until: asyncio.Event) -> None:
        """One client: line after line, until told to stop."""
        while not until.is_set():
            message = str(new_id())
            line = {"flow_run_id": str(self.run_id), "message": message, "name": LOGGER}
            prepared = request(WRITE, input={"logs": [line]})
            tries = 1
            while b'"errors"' in await wire.send(prepared):
                tries += 1
                await asyncio.sleep(0.05)
            self.accepted.add(message)
            if tries == 1:
                self.accepted_at_once.add(message)
