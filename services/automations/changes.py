"""From what happened to what is owed: state changes of runs become deliveries, in one transaction for each batch."""

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from nats.aio.msg import Msg
from pydantic import ValidationError

from libs.contracts import streams
from libs.contracts.automations import RUN_ACTIONS, EventType
from libs.contracts.base import JsonObject
from libs.contracts.runs import FlowRunStateChanged
from libs.runtime import metrics
from libs.runtime.bus import Bus
from libs.runtime.database import Connection, Database
from libs.runtime.ids import NewId
from services.automations import cloud_hooks, noise, store
from services.automations.cloud_hooks import Call
from services.automations.domain import chains, occurrences
from services.automations.domain.changes import Change
from services.automations.domain.hooks import Hook
from services.automations.noise import Fired
from services.automations.planning import plan_deadlines
from services.automations.rulesets import Rules, Rulesets
from services.automations.store import SENT_TO_OURSELVES, Facts, Owed

STATES = streams.durable("automations__states")
_STARTS_A_CLOCK = frozenset({"Scheduled", "Running"})


class Changes:
    """Turns changes into deliveries, and into deadlines of SLAs."""

    def __init__(
        self,
        bus: Bus,
        database: Database,
        rulesets: Rulesets,
        *,
        ids: NewId,
        public_url: str,
        on_commit: Callable[[], None],
    ) -> None:
        """`on_commit` is called when deliveries were written that can be sent now."""
        self._bus = bus
        self._database = database
        self._rulesets = rulesets
        self._ids = ids
        self._public_url = public_url
        self._on_commit = on_commit

    async def follow(self, messages: Sequence[Msg]) -> None:
        """Handle a batch of the ledger's events."""
        changes: list[Change] = []
        for message in messages:
            try:
                event = FlowRunStateChanged.model_validate_json(message.data)
            except ValidationError as error:
                await self._bus.dead_letter(STATES, message, str(error))
                continue
            changes.append(
                Change(
                    tenant_id=event.tenant_id,
                    flow_run_id=event.flow_run_id,
                    flow_id=event.flow_id,
                    version=event.version,
                    state=event.state,
                    message=event.message,
                    at=event.at,
                )
            )
        if changes:
            async with self._database.transaction() as connection:
                new = await self.record(connection, changes)
            if new:
                self._on_commit()

    async def record(
        self, connection: Connection, changes: Sequence[Change], *, late: bool = False
    ) -> int:
        """Owe what these changes lead to; returns how many deliveries are new.

        `late`: they were found in the histories, long after they happened. Hooks that were made, changed or switched
        on since then do not count.
        """
        calls = await cloud_hooks.called_by(connection, changes, late=late)
        rules = await self._rulesets.of(connection, {change.tenant_id for change in changes})
        changes = [change for change in changes if change.tenant_id in rules]
        flows = {c.flow_id for c in changes if rules[c.tenant_id].are_about_flows}
        groups = await self._rulesets.groups_of(connection, flows) if flows else {}
        fired = [
            (change, hook)
            for change in changes
            for hook in rules[change.tenant_id].hooks.on_state(
                change.state, groups.get(change.flow_id)
            )
            if not late or hook.updated <= change.at
        ]
        new = await self._owe(connection, fired, calls) if fired or calls else 0
        started = _with_sla(changes, rules, groups)
        if started:
            await plan_deadlines(connection, started, ids=self._ids)
        return new

    async def _owe(
        self,
        connection: Connection,
        fired: Sequence[tuple[Change, Hook]],
        calls: Sequence[Call],
    ) -> int:
        """Owe all of it in one statement: one delivery of an event stands for all, where histories are searched."""
        runs = {(c.tenant_id, c.flow_run_id) for c, _ in fired} | cloud_hooks.runs_of(calls)
        known = await store.facts(connection, runs)
        events: dict[UUID, JsonObject] = {}

        def event_of(change: Change, facts: Facts) -> JsonObject:
            if change.event_id not in events:
                events[change.event_id] = occurrences.state_changed(
                    change.event_id, change.at, run_of(change, facts), public_url=self._public_url
                )
            return events[change.event_id]

        owed: list[Fired] = []
        called: list[Owed] = []
        for change, hook in fired:
            facts = known.get(change.flow_run_id)
            if facts is None or not holds(hook, facts):
                continue
            each = owed_by(
                hook,
                id_=self._ids(),
                tenant_id=change.tenant_id,
                event_id=change.event_id,
                event=event_of(change, facts),
                facts=facts,
            )
            owed.append(Fired(hook=hook, owed=each))
        for call in calls:
            facts = known.get(call.change.flow_run_id)
            if facts is not None:
                event = event_of(call.change, facts)
                called.append(cloud_hooks.owed_to(call, id_=self._ids(), event=event))
        new = await noise.enqueue(connection, owed, called, ids=self._ids)
        metrics.DELIVERIES_OWED.labels(EventType.STATE_CHANGED).inc(len(new))
        return len(new)


def holds(hook: Hook, facts: Facts) -> bool:
    """Whether the hook's conditions are true of the run."""
    duration = None
    if facts.start_time is not None and facts.end_time is not None:
        duration = facts.end_time - facts.start_time
    return hook.conditions.hold(
        labels=facts.labels or (),
        project=facts.project,
        parameters=facts.parameters or {},
        duration=duration,
    )


def run_of(change: Change, facts: Facts) -> occurrences.RunFacts:
    """The run as events show it, in the state that it entered: it may have moved on."""
    return occurrences.RunFacts(
        tenant_id=change.tenant_id,
        tenant_slug=facts.tenant_slug,
        flow_id=change.flow_id,
        flow_name=facts.flow_name or str(change.flow_id),
        flow_group_id=facts.flow_group_id,
        flow_run_id=change.flow_run_id,
        flow_run_name=facts.flow_run_name or str(change.flow_run_id),
        version=change.version,
        state=change.state,
        state_message=change.message,
    )


def owed_by(
    hook: Hook,
    *,
    id_: UUID,
    tenant_id: UUID,
    event_id: UUID,
    event: JsonObject,
    facts: Facts | None,
) -> Owed:
    """What a hook owes for an event. A chain of automations that is too long ends here, and says so."""
    chain: list[str] = []
    if facts is not None and facts.causes is not None:
        chain = chains.continued(facts.causes, facts.caused_by)
    is_loop = chains.is_loop(chain, hook.action_type)
    return Owed(
        id=id_,
        tenant_id=tenant_id,
        action_id=hook.action_id,
        hook_id=hook.id,
        event_id=event_id,
        event_type=hook.event_type,
        event=event,
        dedup=occurrences.dedup_of(hook.action_id, event_id),
        chain=chain,
        receiver=SENT_TO_OURSELVES if hook.action_type in RUN_ACTIONS else None,
        failed=chains.sentence(chain) if is_loop else None,
    )


def _with_sla(
    changes: Iterable[Change], rules: dict[UUID, Rules], groups: dict[UUID, UUID]
) -> set[UUID]:
    """The runs whose clock of an SLA may have started."""
    return {
        change.flow_run_id
        for change in changes
        if change.state in _STARTS_A_CLOCK
        and groups.get(change.flow_id) in rules[change.tenant_id].groups_with_sla
    }
