"""Missed deadlines: the SLAs of runs, and of agents. Each is decided in the transaction that owes its deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from libs.contracts.automations import EventType, SlaKind
from libs.contracts.heartbeat import HEARD_WITHIN
from libs.runtime import metrics
from libs.runtime.database import Connection, Database, statement
from libs.runtime.ids import NewId
from services.automations import noise, store
from services.automations.changes import holds, owed_by
from services.automations.domain import occurrences
from services.automations.domain.slas import Verdict, verdict
from services.automations.noise import Fired
from services.automations.rulesets import Rulesets
from services.automations.store import Facts

_PAUSED = "Not sent: the work queue was paused, and the hook is muted then."

AT_ONCE = 500
"""Deadlines of one transaction."""
GRACE = timedelta(minutes=1)
"""After an outage of ours, runs get this long to start and to finish before a deadline in it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """A deadline that has passed. `state` and `current_attempt` are None for a run that is being moved just now."""

    id: UUID
    tenant_id: UUID
    flow_sla_config_id: UUID
    flow_run_id: UUID
    attempt: int
    kind: str
    duration_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A run that cannot move before our transaction ends."""

    version: int
    state: str
    attempt: int


class Deadlines:
    """Judges deadlines. Several replicas may: a row is judged by who locks it."""

    def __init__(
        self,
        database: Database,
        rulesets: Rulesets,
        *,
        ids: NewId,
        public_url: str,
        silence: timedelta,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._rulesets = rulesets
        self._ids = ids
        self._public_url = public_url
        self._silence = silence
        self._log = log

    async def of_runs(self, now: datetime | None = None) -> int:
        """Judge the deadlines that have passed; returns how many were broken. Tests pass a time."""
        broken = 0
        while True:
            async with self._database.transaction() as connection:
                found, judged, missed = await self._judge(connection, now)
            broken += missed
            # What could not be judged comes again at the next tick.
            if found < AT_ONCE or not judged:
                return broken

    async def _judge(self, connection: Connection, now: datetime | None) -> tuple[int, int, int]:
        """How many deadlines were found, judged and broken."""
        rows = await connection.fetch(
            statement(__file__, "due_deadlines"), now, HEARD_WITHIN, GRACE, AT_ONCE
        )
        due = [_Due(**dict(row)) for row in rows]
        if not due:
            return 0, 0, 0
        runs, gone = await _locked(connection, sorted({each.flow_run_id for each in due}))
        broken: list[_Due] = []
        over: list[UUID] = [each.id for each in due if each.flow_run_id in gone]
        for each in due:
            run = runs.get(each.flow_run_id)
            if run is None:
                continue
            decided = verdict(
                each.kind, state=run.state, attempt=each.attempt, current_attempt=run.attempt
            )
            if decided is Verdict.BROKEN:
                broken.append(each)
            else:
                over.append(each.id)
        await connection.execute(
            "DELETE FROM automations.sla_deadline WHERE id = ANY ($1::uuid[])", over
        )
        if broken:
            at: datetime = await connection.fetchval(
                "UPDATE automations.sla_deadline SET fired = coalesce($2, now()) WHERE id = ANY ($1::uuid[])"
                " RETURNING fired",
                [each.id for each in broken],
                now,
            )
            await self._owe(connection, broken, runs, at)
        return len(due), len(over) + len(broken), len(broken)

    async def _owe(
        self,
        connection: Connection,
        broken: Sequence[_Due],
        runs: dict[UUID, _Run],
        at: datetime,
    ) -> None:
        rules = await self._rulesets.of(connection, {each.tenant_id for each in broken})
        known = await store.facts(
            connection, {(each.tenant_id, each.flow_run_id) for each in broken}
        )
        owed: list[Fired] = []
        for each in broken:
            facts = known.get(each.flow_run_id)
            hooks = []
            if each.tenant_id in rules:
                hooks = rules[each.tenant_id].hooks.on_sla(
                    EventType.FLOW_SLA_FAILED, each.flow_sla_config_id
                )
            if facts is None or facts.flow_id is None:
                continue
            event = occurrences.flow_sla_failed(
                each.id,
                at,
                _run_of(each, facts, facts.flow_id, runs[each.flow_run_id]),
                config_id=each.flow_sla_config_id,
                kind=SlaKind(each.kind),
                duration_seconds=each.duration_seconds,
                public_url=self._public_url,
                is_paused=facts.is_paused,
            )
            for hook in hooks:
                if holds(hook, facts):
                    made = owed_by(
                        hook,
                        id_=self._ids(),
                        tenant_id=each.tenant_id,
                        event_id=each.id,
                        event=event,
                        facts=facts,
                    )
                    if facts.is_paused and hook.conditions.mutes_while_paused:
                        made = replace(made, muted=_PAUSED)
                    owed.append(Fired(hook=hook, owed=made))
            self._log.info(
                "sla_broken",
                flow_run_id=str(each.flow_run_id),
                flow_sla_config_id=str(each.flow_sla_config_id),
                kind=each.kind,
                attempt=each.attempt,
            )
        new = await noise.enqueue(connection, owed, ids=self._ids)
        metrics.SLAS_BROKEN.labels("flow").inc(len(broken))
        metrics.DELIVERIES_OWED.labels(EventType.FLOW_SLA_FAILED).inc(len(new))

    async def of_agents(self, now: datetime | None = None) -> int:
        """Judge the agents of every config that a hook waits for; returns how many SLAs were broken.

        Once on the change to unhealthy, and again only after the config was healthy. Nothing is judged while we could
        not have heard the agents for the whole silence.
        """
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                statement(__file__, "judge_agents"), now, self._silence, HEARD_WITHIN
            )
            broken = [row for row in rows if not row["is_healthy"]]
            rules = await self._rulesets.of(connection, {row["tenant_id"] for row in broken})
            owed: list[Fired] = []
            for row in broken:
                event_id = self._ids()
                event = occurrences.agent_sla_failed(
                    event_id,
                    row["changed"],
                    tenant_id=row["tenant_id"],
                    tenant_slug=row["tenant_slug"],
                    config_id=row["agent_config_id"],
                    healthy=row["healthy"] or (),
                    unhealthy=row["unhealthy"] or (),
                )
                if row["tenant_id"] in rules:
                    for hook in rules[row["tenant_id"]].hooks.on_sla(
                        EventType.AGENT_SLA_FAILED, row["agent_config_id"]
                    ):
                        made = owed_by(
                            hook,
                            id_=self._ids(),
                            tenant_id=row["tenant_id"],
                            event_id=event_id,
                            event=event,
                            facts=None,
                        )
                        owed.append(Fired(hook=hook, owed=made))
                self._log.info(
                    "agent_sla_broken",
                    agent_config_id=str(row["agent_config_id"]),
                    unhealthy=[str(each) for each in row["unhealthy"] or ()],
                )
            new = await noise.enqueue(connection, owed, ids=self._ids)
        metrics.SLAS_BROKEN.labels("agent").inc(len(broken))
        metrics.DELIVERIES_OWED.labels(EventType.AGENT_SLA_FAILED).inc(len(new))
        return len(broken)


async def _locked(
    connection: Connection, flow_run_ids: Sequence[UUID]
) -> tuple[dict[UUID, _Run], set[UUID]]:
    """Those of the runs that no one is moving, locked until our transaction ends, and those that are gone."""
    rows = await connection.fetch(
        "SELECT id, state, version FROM runs.share_free_flow_runs($1)", list(flow_run_ids)
    )
    free = {row["id"]: row for row in rows}
    # After the lock, so that no state comes in between.
    attempts = await connection.fetch(
        "SELECT flow_run_id, max(version) AS attempt FROM runs.flow_run_state"
        " WHERE flow_run_id = ANY ($1::uuid[]) AND state = 'Scheduled' GROUP BY flow_run_id",
        list(free),
    )
    current = {row["flow_run_id"]: row["attempt"] for row in attempts}
    left = await connection.fetch(
        "SELECT id FROM runs.flow_run WHERE id = ANY ($1::uuid[])",
        [each for each in flow_run_ids if each not in free],
    )
    gone = set(flow_run_ids) - free.keys() - {row["id"] for row in left}
    return {
        id_: _Run(version=row["version"], state=row["state"], attempt=current.get(id_, 0))
        for id_, row in free.items()
    }, gone


def _run_of(due: _Due, facts: Facts, flow_id: UUID, run: _Run) -> occurrences.RunFacts:
    return occurrences.RunFacts(
        tenant_id=due.tenant_id,
        tenant_slug=facts.tenant_slug,
        flow_id=flow_id,
        flow_name=facts.flow_name or str(flow_id),
        flow_group_id=facts.flow_group_id,
        flow_run_id=due.flow_run_id,
        flow_run_name=facts.flow_run_name or str(due.flow_run_id),
        version=run.version,
        state=run.state,
        state_message=facts.state_message,
    )
