"""Claims and leases in the database: one transaction each, written by the ledger's journal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from libs.contracts.agents import ClaimedRun, HeldLease, Outcome, Renewal
from libs.contracts.runs import RunKind
from libs.contracts.states import State
from libs.runtime import metrics
from libs.runtime.clock import Clock
from libs.runtime.database import Database, statement
from libs.runtime.ids import NewId
from libs.runtime.records import RecordStatement
from services.runs.dispatch import domain
from services.runs.dispatch.domain import (
    Due,
    Ending,
    Labels,
    Requeued,
    WaitingClaim,
)
from services.runs.dispatch.found import DueSet, Lapsed, Served
from services.runs.dispatch.settings import DispatchSettings
from services.runs.domain.states import to_json
from services.runs.domain.transitions import Claimant, FlowRun, FlowRunMoved, propose_flow_run_state
from services.runs.ledger import reads
from services.runs.ledger.journal import Journal

AGENT_TYPE = "HeadwaterAgent"
LAPSES = 500
"""Expired leases handled in one transaction."""


class AskedLease(NamedTuple):
    """A lease that an agent wants renewed; `number` is its index in the answer."""

    number: int
    tenant_id: UUID
    id: UUID
    token: UUID


_RENEW = RecordStatement(__file__, "renew", asked=AskedLease)


class LeaseStore:
    """The SQL of dispatch. `on_commit` is called after each commit that added events."""

    def __init__(
        self,
        database: Database,
        queue_database: Database,
        settings: DispatchSettings,
        *,
        clock: Clock,
        ids: NewId,
        on_commit: Callable[[], None],
    ) -> None:
        self._database = database
        self._queue_database = queue_database
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._on_commit = on_commit

    async def look(self, tenants: Sequence[UUID], *, horizon: timedelta) -> list[DueSet]:
        """The label sets of these tenants with runs that are due, or will be within the horizon."""
        rows = await self._queue_database.pool.fetch(
            statement(__file__, "look"), list(tenants), horizon
        )
        return [
            DueSet(
                tenant_id=row["tenant_id"],
                labels=frozenset(row["labels"]),
                due_in=row["due_in"],
                backlog=row["backlog"],
            )
            for row in rows
        ]

    async def claim(
        self,
        tenant_id: UUID,
        waiting: Sequence[WaitingClaim],
        agents: dict[UUID, UUID],
        sets: Iterable[Labels],
        *,
        at_most: int | None = None,
    ) -> dict[UUID, list[ClaimedRun]]:
        """Claim due runs of these label sets for the waiting claims; returns runs by claim id. `agents` is by claim
        id; without `at_most`, there are as many as the claims have room for."""
        room = sum(claim.capacity for claim in waiting)
        if at_most is not None:
            room = min(room, at_most)
        async with self._queue_database.transaction() as connection:
            found = await connection.fetch(
                statement(__file__, "claim"),
                tenant_id,
                [to_json(sorted(labels)) for labels in sets],
                room,
            )
            rows = {row["id"]: row for row in found}
            shared = domain.share(
                (Due(id=row["id"], labels=frozenset(row["labels"])) for row in found), waiting
            )
            claim_of = {id_: claim for claim, ids in shared.items() for id_ in ids}
            if not claim_of:
                return {}
            facts = await reads.lock_flow_runs(connection, claim_of)
            journal = Journal(connection, ids=self._ids)
            taken = await self._within_limits(
                journal,
                [
                    self._submit(facts[id_], rows[id_], claim_of[id_], agents[claim_of[id_]])
                    for id_ in rows
                    if id_ in claim_of
                ],
            )
            for _, moved in taken:
                if moved is not None:
                    journal.move_flow_run(moved)
            await self._write(journal)
            await journal.give_leases([run for run, _ in taken], lease=self._settings.first_lease)
        self._on_commit()
        now = self._clock()
        for run, moved in taken:
            if moved is not None:
                metrics.STATES_APPLIED.labels(RunKind.FLOW_RUN, run.state).inc()
            waited = (now - rows[run.id]["due_at"]).total_seconds()
            metrics.CLAIM_SECONDS.observe(max(0.0, waited))
        claimed: dict[UUID, list[ClaimedRun]] = {}
        for run, _ in taken:
            claimed.setdefault(claim_of[run.id], []).append(self._claimed(run, rows[run.id]))
        return claimed

    def _submit(
        self, run: FlowRun, row: asyncpg.Record, claim_id: UUID, agent_id: UUID
    ) -> tuple[FlowRun, FlowRunMoved | None]:
        """The run as claimed, and its move; a Running run that is due for a retry stays Running."""
        token = domain.lease_token(claim_id, run.id)
        if run.state == State.RUNNING:
            return (
                replace(run, lease_token=token, agent_id=agent_id, attempt=run.attempt + 1),
                None,
            )
        decided = propose_flow_run_state(
            run,
            domain.submitted(row["serialized_state"]),
            seen_version=None,
            lease_token=token,
            agent=Claimant(agent_id),
            now=self._clock(),
        )
        if not isinstance(decided, FlowRunMoved):
            msg = f"a due run that is locked could not be submitted: {decided}"
            raise TypeError(msg)
        return decided.run, decided

    async def _within_limits(
        self, journal: Journal, taken: Sequence[tuple[FlowRun, FlowRunMoved | None]]
    ) -> list[tuple[FlowRun, FlowRunMoved | None]]:
        """Those that have their slots now; the others keep waiting unchanged."""
        entering = [
            (run, [moved.state]) for run, moved in taken if moved is not None and run.limited
        ]
        if not entering:
            return list(taken)
        await journal.load_slots(entering=entering)
        return [
            (run, moved)
            for run, moved in taken
            if moved is None
            or not run.limited
            or journal.slots.enter(run, moved.state, is_at_work=False) is None
        ]

    def _claimed(self, run: FlowRun, row: asyncpg.Record) -> ClaimedRun:
        if run.lease_token is None:
            msg = f"flow run {run.id} was claimed without a lease"
            raise TypeError(msg)
        return ClaimedRun(
            flow_run_id=run.id,
            lease_token=run.lease_token,
            attempt=run.attempt,
            lease=self._settings.first_lease.total_seconds(),
            name=row["name"],
            flow_id=row["flow_id"],
            flow_name=row["flow_name"],
            due=row["due_at"],
            labels=row["labels"],
            core_version=row["core_version"],
            storage=row["storage"],
            run_config=row["run_config"],
        )

    async def claimed_before(
        self, tenant_id: UUID, claim_id: UUID, agent_id: UUID
    ) -> list[ClaimedRun]:
        """The runs that the claim got when it was first made, as far as it still has them."""
        rows = await self._database.pool.fetch(
            """
            SELECT r.id, r.lease_token, r.attempt, r.name, r.flow_id, r.labels, r.run_config,
                r.scheduled_start_time AS due_at, f.name AS flow_name, f.core_version, f.storage
            FROM runs.flow_run r JOIN registry.flow f ON f.id = r.flow_id
            WHERE r.tenant_id = $1 AND r.state IN ('Submitted', 'Running', 'Cancelling') AND r.agent_id = $2
                AND r.lease_token IS NOT NULL
            """,
            tenant_id,
            agent_id,
        )
        return [
            ClaimedRun(
                flow_run_id=row["id"],
                lease_token=row["lease_token"],
                attempt=row["attempt"],
                lease=self._settings.first_lease.total_seconds(),
                **{name: row[name] for name in ("name", "flow_id", "flow_name", "labels")},
                due=row["due_at"],
                **{name: row[name] for name in ("core_version", "storage", "run_config")},
            )
            for row in rows
            if row["lease_token"] == domain.lease_token(claim_id, row["id"])
        ]

    async def renew(
        self, requests: Sequence[tuple[UUID, Sequence[HeldLease]]]
    ) -> list[list[Renewal]]:
        """Renew the leases of these (tenant, leases) requests; returns the standing of each, in order. One statement
        for all."""
        held = [(tenant_id, lease) for tenant_id, leases in requests for lease in leases]
        rows = await self._database.pool.fetch(
            _RENEW.text,
            *_RENEW.arguments(
                asked=[
                    AskedLease(
                        number=number,
                        tenant_id=tenant_id,
                        id=lease.flow_run_id,
                        token=lease.lease_token,
                    )
                    for number, (tenant_id, lease) in enumerate(held)
                ],
                start_lease=self._settings.start_lease,
                run_lease=self._settings.run_lease,
                first_lease=self._settings.first_lease,
            ),
        )
        for (tenant_id, lease), row in zip(held, rows, strict=True):
            if row["withheld"]:
                await self.end(
                    tenant_id,
                    lease.flow_run_id,
                    lease.lease_token,
                    Outcome.RETURNED,
                    exit_code=None,
                    message="The work queue was paused before this run started.",
                )
        standings = [self._renewal(lease, row) for (_, lease), row in zip(held, rows, strict=True)]
        renewals = iter(standings)
        return [[next(renewals) for _ in leases] for _, leases in requests]

    @staticmethod
    def _renewal(lease: HeldLease, row: asyncpg.Record) -> Renewal:
        token = None if row["withheld"] else row["lease_token"]
        standing = domain.standing_of(row["state"], token, held=lease.lease_token)
        is_ours = token == lease.lease_token
        return Renewal(
            flow_run_id=lease.flow_run_id,
            standing=standing,
            state=row["state"] if is_ours else None,
        )

    async def take_back_lapsed(self) -> list[Lapsed]:
        """Queue again runs that were claimed and never began; returns the decision for each."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(statement(__file__, "lapsed"), LAPSES)
            if not rows:
                return []
            facts = await reads.lock_flow_runs(connection, [row["id"] for row in rows])
            lapsed = [
                Lapsed(
                    run=run,
                    ending=domain.lapse(
                        run, attempts=self._settings.start_attempts, now=self._clock()
                    ),
                )
                for run in facts.values()
            ]
            journal = Journal(connection, ids=self._ids)
            await self._requeue(journal, [each.ending for each in lapsed])
        self._on_commit()
        return lapsed

    async def end(
        self,
        tenant_id: UUID,
        flow_run_id: UUID,
        lease_token: UUID,
        outcome: Outcome,
        *,
        exit_code: int | None,
        message: str | None,
    ) -> tuple[FlowRun, Ending] | None:
        """Decide the end of a run's process, and queue the run again if decided so; None when the lease is lost.

        The lease ends with the process. `Proposed` and `Crashed` must still be written by the ledger, which decides
        anew under the lock: nothing is lost if the run changes in between.
        """
        async with self._database.transaction() as connection:
            facts = await reads.lock_flow_runs(connection, [flow_run_id])
            run = facts.get(flow_run_id)
            if run is None or run.tenant_id != tenant_id or run.lease_token != lease_token:
                return None
            ending = domain.end_of_process(
                run,
                outcome,
                exit_code=exit_code,
                message=message,
                attempts=self._settings.start_attempts,
                now=self._clock(),
            )
            journal = Journal(connection, ids=self._ids)
            await self._requeue(journal, [ending])
            if not isinstance(ending, Requeued):
                await journal.end_lease(flow_run_id)
        self._on_commit()
        return run, ending

    async def _requeue(self, journal: Journal, endings: Iterable[Ending]) -> None:
        requeued = [ending for ending in endings if isinstance(ending, Requeued)]
        if limited := [each.moved.run.id for each in requeued if each.moved.run.limited]:
            await journal.load_slots(ending=limited)
        for each in requeued:
            journal.move_flow_run(each.moved)
            journal.log(each.moved.run.tenant_id, each.log)
        await self._write(journal)

    async def _write(self, journal: Journal) -> None:
        now = self._clock()
        await journal.write(at=now)
        await journal.close(at=now)

    async def queue_is_paused(self, tenant_id: UUID) -> bool | None:
        """Whether the tenant's work queue is paused now: for telling, claims ask under a lock (`claim.sql`). None when
        there is no such tenant."""
        return await self._database.pool.fetchval(  # type: ignore[no-any-return]  # asyncpg
            "SELECT coalesce(settings -> 'work_queue_paused' = 'true', false) FROM gateway.tenant WHERE id = $1",
            tenant_id,
        )

    async def tenants_with_agents(self) -> dict[UUID, Served]:
        """Tenants with recent signs of life of native agents."""
        rows = await self._database.pool.fetch(
            """
            SELECT a.tenant_id, coalesce(t.settings -> 'work_queue_paused' = 'true', false) AS is_paused, a.agents
            FROM (
                SELECT tenant_id, jsonb_agg(DISTINCT labels) AS agents FROM runs.agent
                WHERE type = $1 AND last_queried > now() - interval '5 minutes'
                GROUP BY tenant_id
            ) a LEFT JOIN gateway.tenant t ON t.id = a.tenant_id
            """,
            AGENT_TYPE,
        )
        return {
            row["tenant_id"]: Served(
                is_paused=row["is_paused"], agents=frozenset(map(frozenset, row["agents"]))
            )
            for row in rows
        }

    async def seen(self, agents: dict[tuple[UUID, UUID], datetime]) -> None:
        """Write when agents, by (tenant, id), were last heard, all in one statement."""
        await self._database.pool.execute(
            """
            UPDATE runs.agent a SET last_queried = s.at
            FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS s (tenant_id, id, at)
            WHERE a.id = s.id AND a.tenant_id = s.tenant_id
            """,
            [tenant_id for tenant_id, _ in agents],
            [id_ for _, id_ in agents],
            list(agents.values()),
        )
