"""The flow runs that one transaction makes. The rules: `domain/creation.py`.

Used with all the creations of a batch at once: `prepare` first, because flows come before runs in the order of locks,
and `insert` last, because unique keys of new rows come after them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.contracts.base import Refused
from libs.contracts.errors import Code
from libs.contracts.run_configs import complaint_about
from libs.contracts.runs import CreateFlowRun, CreateScheduled, FlowRunCreated
from libs.contracts.states import State
from libs.runtime import exact_json
from libs.runtime.database import Connection, statement
from libs.runtime.ids import NewId
from services.runs.domain.creation import (
    FlowFacts,
    effective_labels,
    effective_parameters,
    effective_run_config,
    missing_parameters,
    unstorable_name,
)
from services.runs.domain.queue import is_soon
from services.runs.domain.states import in_utc, make_state, to_json
from services.runs.ledger import reads, removal
from services.runs.ledger.commands import Done
from services.runs.ledger.journal import Journal
from services.runs.ledger.rows import NewFlowRun, NewTaskRun

Creation = CreateFlowRun | CreateScheduled
Created = FlowRunCreated | Done | Refused

_GROUP_LOOKUPS = 3
"""A group whose newest version is archived again and again is being re-registered in a loop."""


@dataclass(frozen=True, slots=True)
class _New:
    """A run to be made: for a request (`index` is the index of its answer), or for one instant of a schedule."""

    index: int
    run: NewFlowRun


@dataclass(slots=True)
class Creations:
    """The new runs of this transaction; answers are by the indexes of the commands."""

    _connection: Connection
    _journal: Journal
    _ids: NewId
    _names: Callable[[], str]
    ready: set[UUID] = field(default_factory=set)
    """Tenants with new runs that are due now or soon."""
    _new: list[_New] = field(default_factory=list)
    _now: datetime = field(init=False)

    async def prepare(self, wanted: Mapping[int, Creation], *, now: datetime) -> dict[int, Created]:
        """Lock the flows (shared) and decide what to insert; returns the answers of commands that need no insert."""
        answers: dict[int, Created] = {}
        if not wanted:
            return answers
        self._now = now
        flow_ids, shared = await self._share_flows(wanted)
        existing = await self._existing(wanted, flow_ids)
        seen = await self._seen_schedules(wanted)
        for index, command in wanted.items():
            flow = shared.flows.get(flow_ids[index]) if index in flow_ids else None
            if isinstance(command, CreateScheduled):
                if command.seen_schedule not in (None, seen.get(command.flow_id)):
                    answers[index] = Done("schedule_changed")
                    continue
                answers[index] = self._prepare_scheduled(
                    index, command, flow, now=shared.now or now
                )
            elif index in existing:
                answers[index] = FlowRunCreated(id=existing[index], existing=True)
            elif (refusal := self._prepare_run(index, command, flow)) is not None:
                answers[index] = refusal
        return answers

    async def _share_flows(
        self, wanted: Mapping[int, Creation]
    ) -> tuple[dict[int, UUID], reads.SharedFlows]:
        """The flow of each creation, under a share lock; a group's newest is read again if it was archived
        meanwhile."""
        shared = reads.SharedFlows(flows={}, now=None)
        flow_ids: dict[int, UUID] = {}
        groups: dict[int, tuple[UUID, str]] = {}
        for index, command in wanted.items():
            if command.flow_id is not None:
                flow_ids[index] = command.flow_id
            elif isinstance(command, CreateFlowRun) and command.version_group_id is not None:
                groups[index] = (command.tenant_id, command.version_group_id)
        for _ in range(_GROUP_LOOKUPS):
            if groups:
                newest = await reads.newest_unarchived(
                    self._connection, sorted(set(groups.values()))
                )
                for index, group in groups.items():
                    flow_ids.pop(index, None)
                    if group in newest:
                        flow_ids[index] = newest[group]
            if flow_ids:
                shared = await reads.share_flows(self._connection, set(flow_ids.values()))
            if not any(
                (flow := shared.flows.get(flow_ids[index])) is None or flow.archived
                for index in groups
                if index in flow_ids
            ):
                break
        return flow_ids, shared

    async def _existing(
        self, wanted: Mapping[int, Creation], flow_ids: Mapping[int, UUID]
    ) -> dict[int, UUID]:
        keys = {
            index: (flow_ids[index], command.idempotency_key)
            for index, command in wanted.items()
            if isinstance(command, CreateFlowRun)
            and command.idempotency_key is not None
            and index in flow_ids
        }
        if not keys:
            return {}
        found = await reads.runs_by_key(self._connection, sorted(set(keys.values())))
        return {index: found[key] for index, key in keys.items() if key in found}

    async def _seen_schedules(self, wanted: Mapping[int, Creation]) -> dict[UUID, str]:
        """The current schedules of scheduled runs' flows, under their share locks; their groups are not locked.

        If a group gets another schedule meanwhile, the scheduler's next proposal corrects the runs.
        """
        flow_ids = {
            command.flow_id
            for command in wanted.values()
            if isinstance(command, CreateScheduled) and command.seen_schedule is not None
        }
        return await reads.seen_schedules(self._connection, flow_ids) if flow_ids else {}

    def _prepare_run(
        self, index: int, command: CreateFlowRun, flow: FlowFacts | None
    ) -> Refused | None:
        refusal = _refusal(command, flow)
        if refusal is not None or flow is None:
            return refusal
        parameters = effective_parameters(flow, command.parameters)
        if missing := missing_parameters(flow, parameters):
            # In Python's form of a set, because users of the clients know it.
            names = ", ".join(repr(name) for name in missing)
            return Refused(code=Code.PARAMETERS_MISSING, fields={"names": f"{{{names}}}"})
        run = self._new_run(
            flow,
            parameters=to_json(parameters),
            labels=effective_labels(flow, command.labels, command.run_config),
            run_config=effective_run_config(flow, command.run_config),
            context=command.context,
            start_time=command.scheduled_start_time or self._now,
            name=command.flow_run_name,
            idempotency_key=command.idempotency_key,
            created_by=command.created_by,
        )
        if (reason := _unstorable(run)) is not None:
            return Refused(code=Code.INVALID, fields={"reason": reason})
        self._new.append(_New(index, run))
        return None

    def _prepare_scheduled(
        self, index: int, command: CreateScheduled, flow: FlowFacts | None, *, now: datetime
    ) -> Done:
        if flow is None or flow.tenant_id != command.tenant_id:
            return Done("unknown_flow")
        if flow.archived or not flow.is_schedule_active:
            return Done("schedule_inactive")
        unmade: list[str] = []
        for instant in command.instants:
            if instant.start_time <= now:
                continue
            parameters = effective_parameters(flow, instant.parameters)
            if missing := missing_parameters(flow, parameters):
                unmade += missing
                continue
            run = self._new_run(
                flow,
                parameters=to_json(parameters),
                labels=effective_labels(flow, instant.labels, None),
                run_config=effective_run_config(flow, None),
                start_time=instant.start_time,
                schedule_hash=instant.schedule_hash,
            )
            self._new.append(_New(index, run))
        return Done(f"parameters_missing: {', '.join(sorted({*unmade}))}" if unmade else None)

    def _new_run(
        self,
        flow: FlowFacts,
        *,
        parameters: str,
        labels: list[str],
        run_config: dict[str, Any] | None,
        start_time: datetime,
        context: dict[str, Any] | None = None,
        name: str | None = None,
        schedule_hash: str | None = None,
        idempotency_key: str | None = None,
        created_by: UUID | None = None,
    ) -> NewFlowRun:
        state = make_state(State.SCHEDULED, "Flow run scheduled.", start_time=start_time)
        return NewFlowRun(
            id=self._ids(),
            tenant_id=flow.tenant_id,
            flow_id=flow.id,
            flow_group_id=flow.flow_group_id,
            name=name or self._names(),
            parameters=parameters,
            labels=to_json(labels),
            run_config=None if run_config is None else to_json(run_config),
            context=to_json(context or {}),
            scheduled_start_time=start_time,
            auto_scheduled=schedule_hash is not None,
            schedule_hash=schedule_hash,
            idempotency_key=idempotency_key,
            message="Flow run scheduled.",
            serialized_state=state.text,
            history_id=self._ids(),
            created_by=created_by,
            at=self._now,
        )

    async def insert(self) -> dict[int, Created]:
        """Insert the runs with their first states and their task runs; returns the answers of those commands."""
        if not self._new:
            return {}
        await self._make_room()
        # Of equal keys inside the batch the first is inserted, as across batches.
        first: dict[tuple[UUID, str], NewFlowRun] = {}
        inserting: list[NewFlowRun] = []
        for new in self._new:
            run = new.run
            if run.idempotency_key is not None:
                if (run.flow_id, run.idempotency_key) in first:
                    continue
                first[run.flow_id, run.idempotency_key] = run
            inserting.append(run)
        made = await self._journal.insert_flow_runs(inserting)
        made -= await _delete_barred(
            self._connection, {r.id for r in inserting if r.auto_scheduled and r.id in made}
        )
        lost = [key for key, run in first.items() if run.id not in made]
        elsewhere = await reads.runs_by_key(self._connection, lost) if lost else {}
        await self._complete([run for run in inserting if run.id in made])
        answers: dict[int, Created] = {}
        counts: Counter[int] = Counter()
        for new in self._new:
            run = new.run
            if run.auto_scheduled:
                counts[new.index] += run.id in made
            elif run.id in made:
                answers[new.index] = FlowRunCreated(id=run.id)
            else:
                key = (run.flow_id, run.idempotency_key or "")
                answers[new.index] = FlowRunCreated(
                    id=elsewhere[key] if key in elsewhere else first[key].id, existing=True
                )
        return answers | {index: Done(count=count) for index, count in counts.items()}

    async def _make_room(self) -> None:
        """Pending runs of archived versions give their instants to the version that replaced them."""
        groups = {new.run.flow_group_id for new in self._new if new.run.auto_scheduled}
        if groups:
            await removal.delete_pending_of_archived(self._connection, sorted(groups))

    async def _complete(self, made: list[NewFlowRun]) -> None:
        """Insert the task runs of the runs, and note their events."""
        tasks = await reads.tasks_of(self._connection, {run.flow_id for run in made})
        task_runs = [
            NewTaskRun(
                id=self._ids(),
                tenant_id=run.tenant_id,
                flow_run_id=run.id,
                task_id=task_id,
                map_index=-1,
                cache_key=cache_key,
                history_id=self._ids(),
            )
            for run in made
            for task_id, cache_key in tasks.get(run.flow_id, ())
        ]
        if task_runs:
            await self._journal.insert_task_runs(task_runs, at=self._now)
        for run in made:
            self._journal.announce(run)
            if is_soon(run.scheduled_start_time, now=self._now):
                self.ready.add(run.tenant_id)


async def _delete_barred(connection: Connection, made: Collection[UUID]) -> set[UUID]:
    """Delete those of these new runs that must not exist, in the transaction that made them; returns them."""
    if not made:
        return set()
    rows = await connection.fetch(statement(__file__, "barred_instants"), sorted(made))
    barred = [row["id"] for row in rows]
    await removal.delete_runs(connection, barred)
    return set(barred)


def _refusal(command: CreateFlowRun, flow: FlowFacts | None) -> Refused | None:
    if command.flow_id is None and command.version_group_id is None:
        return Refused(code=Code.FLOW_OR_GROUP_REQUIRED)
    if command.flow_id is None and flow is None:
        return Refused(
            code=Code.VERSION_GROUP_EMPTY,
            fields={"version_group_id": command.version_group_id or ""},
        )
    if flow is None or flow.tenant_id != command.tenant_id:
        return Refused(code=Code.FLOW_NOT_FOUND, fields={"flow_id": str(command.flow_id)})
    if flow.archived:
        return Refused(code=Code.FLOW_ARCHIVED, fields={"flow_id": str(flow.id)})
    # The values of flows and groups were checked when they were set.
    if reason := complaint_about(command.run_config):
        return Refused(code=Code.INVALID, fields={"reason": reason})
    return None


def _unstorable(run: NewFlowRun) -> str | None:
    """Why PostgreSQL could not hold this run: one that fails in the database would fail its whole batch first."""
    for name, text in {
        "parameters": run.parameters,
        "run_config": run.run_config or "",
        "context": run.context,
        "labels": run.labels,
    }.items():
        if exact_json.holds_nul(text):
            return f"{name} cannot hold the character U+0000"
    for name, value in {
        "flow_run_name": run.name,
        "idempotency_key": run.idempotency_key or "",
    }.items():
        if (reason := unstorable_name(value)) is not None:
            return f"{name} {reason}"
    if in_utc(run.scheduled_start_time) is None:
        return "scheduled_start_time is beyond what a calendar holds"
    return None
