"""Owing what hooks lead to, but not more often than they may speak.

Hooks that count, or that have a throttle, are locked first, in the order of their ids: two replicas that handle events
of one hook count one after the other, so no event is counted twice and none is missed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid5

from libs.runtime.database import Connection, statement
from libs.runtime.ids import NewId
from services.automations import store
from services.automations.domain import noise, occurrences
from services.automations.domain.hooks import Hook
from services.automations.domain.noise import Seen
from services.automations.store import Owed


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """What a hook owes for an event, if it may speak."""

    hook: Hook
    owed: Owed

    @property
    def at(self) -> datetime:
        """When the event happened."""
        return datetime.fromisoformat(self.owed.event["timestamp"])

    @property
    def counted_with(self) -> str | None:
        """The flow group that it is counted with; None: all of its hook."""
        group: str | None = self.owed.event.get("flow_group_id")
        return None if self.hook.conditions.counts_per_hook else group


async def enqueue(
    connection: Connection, fired: Iterable[Fired], others: Iterable[Owed] = (), *, ids: NewId
) -> set[UUID]:
    """Owe these, each once; returns the ids of what is to be sent now. `others` may always be sent."""
    plain: dict[str, Owed] = {}
    limited: defaultdict[UUID, list[Fired]] = defaultdict(list)
    for each in fired:
        hook, owed = each.hook, each.owed
        is_free = hook.conditions.frequency is None and hook.throttle is None
        if is_free or owed.failed is not None or owed.muted is not None:
            plain.setdefault(owed.dedup, owed)
        else:
            limited[hook.id].append(each)
    for owed in others:
        plain.setdefault(owed.dedup, owed)
    silent: list[Owed] = []
    digests: list[_Digest] = []
    if limited:
        await connection.execute(
            "SELECT FROM automations.hook WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE",
            list(limited),
        )
    for hook_id in sorted(limited):
        counted, ready = await _counted(connection, limited[hook_id], ids=ids)
        silent += counted
        said, digest = await _throttled(connection, ready, ids=ids)
        for owed in said:
            plain.setdefault(owed.dedup, owed)
        if digest is not None:
            silent += digest.owed
            digests.append(digest)
    # Another hook with the same action may send it after all.
    once = {owed.dedup: owed for owed in silent} | plain
    new = await store.enqueue(connection, once.values())
    for digest in digests:
        await _tell(connection, digest, new)
    return new - {owed.id for owed in silent}


async def _counted(
    connection: Connection, fired: Sequence[Fired], *, ids: NewId
) -> tuple[list[Owed], list[Fired]]:
    """Of one hook: the rows that count its events, and what is owed since the number is full."""
    hook = fired[0].hook
    rate = hook.conditions.frequency
    if rate is None:
        return [], list(fired)
    by_id = {each.owed.id: each for each in fired}
    keys = {occurrences.dedup_of(hook.id, each.owed.event_id): each for each in fired}
    known = await _known(connection, keys)
    rows: list[Owed] = []
    ready: list[Fired] = []
    groups: defaultdict[str | None, list[Fired]] = defaultdict(list)
    for dedup, each in keys.items():
        if dedup not in known:
            groups[each.counted_with].append(each)
    for group, new in groups.items():
        since = min(each.at for each in new) - rate.within
        found = await connection.fetch(
            statement(__file__, "counted_before"), new[0].owed.tenant_id, hook.id, since, group
        )
        waiting = [Seen(row["id"], row["at"]) for row in found]
        told: dict[UUID, UUID] = {}
        for firing in noise.firings(rate, waiting, [Seen(e.owed.id, e.at) for e in new]):
            last = by_id[firing[-1].id]
            event = noise.repeated(last.owed.event, len(firing), rate)
            owed = replace(last.owed, id=ids(), event=event)
            ready.append(Fired(hook=hook, owed=owed))
            told |= dict.fromkeys((seen.id for seen in firing), owed.id)
        before = [seen.id for seen in waiting if seen.id in told]
        if before:
            told_in = [told[id_] for id_ in before]
            await connection.execute(statement(__file__, "told"), before, told_in)
        rows += [
            replace(
                each.owed,
                dedup=occurrences.dedup_of(hook.id, each.owed.event_id),
                status="counted",
                told_in=told.get(each.owed.id),
            )
            for each in new
        ]
    return rows, ready


@dataclass(frozen=True, slots=True, kw_only=True)
class _Digest:
    """Events of a hook that one message tells of. `before` is None for a new message."""

    id: UUID
    rate: noise.Rate
    owed: Sequence[Owed]
    before: Mapping[str, object] | None


async def _throttled(
    connection: Connection, ready: Sequence[Fired], *, ids: NewId
) -> tuple[list[Owed], _Digest | None]:
    """Of one hook: what may be sent, and what a digest tells."""
    if not ready or (rate := ready[0].hook.throttle) is None:
        return [each.owed for each in ready], None
    hook, tenant_id = ready[0].hook, ready[0].owed.tenant_id
    known = await _known(connection, [each.owed.dedup for each in ready])
    new = [each.owed for each in ready if each.owed.dedup not in known]
    said: int = await connection.fetchval(
        statement(__file__, "said_of_late"), tenant_id, hook.id, rate.within
    )
    room = max(rate.times - said, 0)
    if len(new) <= room:
        return new, None
    row = await connection.fetchrow(statement(__file__, "open_digest"), tenant_id, hook.id)
    digest_id: UUID = ids() if row is None else row["id"]
    late = [replace(each, status="digested", told_in=digest_id) for each in new[room:]]
    before = None if row is None else row["event"]
    return new[:room], _Digest(id=digest_id, rate=rate, owed=late, before=before)


async def _tell(connection: Connection, digest: _Digest, new: set[UUID]) -> None:
    """Write the message that tells of those rows that are new; it is sent when the time of the throttle is over."""
    owed = [each for each in digest.owed if each.id in new]
    if not owed:
        return
    event = noise.digest(digest.before, [each.event for each in owed], digest.rate)
    if digest.before is not None:
        await connection.execute(
            "UPDATE automations.delivery SET event = $2 WHERE id = $1", digest.id, event
        )
        return
    made = replace(
        owed[0],
        id=digest.id,
        event=event,
        dedup=occurrences.dedup_of(uuid5(owed[0].hook_id or digest.id, "digest"), owed[0].event_id),
        status=None,
        told_in=None,
        due_after=digest.rate.within,
    )
    await store.enqueue(connection, [made])


async def _known(connection: Connection, keys: Iterable[str]) -> set[str]:
    rows = await connection.fetch(
        "SELECT dedup FROM automations.delivery WHERE dedup = ANY ($1::text[])", list(keys)
    )
    return {row["dedup"] for row in rows}
