"""How a service is, judged by what its replicas said and when. Pure; seconds are of a monotonic clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from libs.contracts.alive import Condition, ServiceAlive

SILENT_AFTER = 25.0
"""Seconds; five words missed. One that hangs on PostgreSQL is late by two probes (6 s), and is not dead."""
FORGOTTEN_AFTER = 600.0
"""Seconds after which a silent replica beside living ones counts as taken away."""


class Status(StrEnum):
    """How a service or engine is; the worst stands first."""

    DOWN = "down"
    UNREADY = "unready"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One process of a service: its last word, and when that was heard."""

    service: str
    said: ServiceAlive
    heard_at: float
    heard: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A service or an engine. `reason` is a sentence, None where all is well; `since` None where nobody knows."""

    name: str
    status: Status
    reason: str | None
    since: datetime | None
    version: str | None = None
    replicas: tuple[Replica, ...] = ()
    facts: dict[str, int] = field(default_factory=dict)
    """Numbers that belong to it: bytes of a disk, for instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What this gateway could hear: since when, and whether it is connected now."""

    since: float
    began: datetime
    connected: bool


def judge(
    name: str, replicas: Sequence[Replica], listening: Listening, *, now: float, at: datetime
) -> Part:
    """How the service is, from the last words of its replicas."""
    if not listening.connected:
        reason = "This gateway is not connected to NATS, so it hears no service."
        return Part(name=name, status=Status.UNKNOWN, reason=reason, since=None)
    lasting = [r for r in replicas if r.said.condition is not Condition.STOPPED]
    living = [r for r in lasting if now - r.heard_at < SILENT_AFTER]
    silent = [r for r in lasting if now - r.heard_at >= SILENT_AFTER]
    if not living:
        return _without_life(name, replicas, silent, listening, now=now)
    status, reasons, since = _of_the_living(living)
    if silent:
        status = min(status, Status.DEGRADED, key=list(Status).index)
        longest = max(now - r.heard_at for r in silent)
        reasons.append(
            f"{len(silent)} of {len(lasting)} replicas has not been heard for {longest:.0f} s."
        )
        since = min(r.heard for r in silent) if since is None else since
    return Part(
        name=name,
        status=status,
        reason=" ".join(reasons) or None,
        since=since,
        version=_versions(living),
        replicas=tuple(lasting),
    )


def _of_the_living(living: Sequence[Replica]) -> tuple[Status, list[str], datetime | None]:
    """Ready if all are; degraded if one is not, as long as one does something; else unready."""
    unwell = [r for r in living if r.said.condition is not Condition.READY]
    sinces = [r.said.since for r in unwell or living if r.said.since is not None]
    if not unwell:
        return Status.READY, [], max(sinces, default=None)
    does_nothing = all(r.said.condition is Condition.UNREADY for r in living)
    status = Status.UNREADY if does_nothing else Status.DEGRADED
    reasons = list(dict.fromkeys(_sentence(text) for r in unwell for text in r.said.reasons))
    return status, reasons or ["It does not say why."], min(sinces, default=None)


def _without_life(
    name: str,
    replicas: Sequence[Replica],
    silent: Sequence[Replica],
    listening: Listening,
    *,
    now: float,
) -> Part:
    if silent:
        last = max(silent, key=lambda replica: replica.heard_at)
        reason = (
            f"{name} has not been heard for {now - last.heard_at:.0f} s: its processes are dead, hang, or are cut off"
            " from NATS."
        )
        return Part(
            name=name, status=Status.DOWN, reason=reason, since=last.heard, replicas=(*silent,)
        )
    if replicas:
        last = max(replicas, key=lambda replica: replica.heard_at)
        reason = f"{name} was stopped."
        return Part(name=name, status=Status.DOWN, reason=reason, since=last.heard)
    waited = now - listening.since
    if waited < SILENT_AFTER:
        reason = f"{name} has not been heard yet; this gateway listens since {waited:.0f} s."
        return Part(name=name, status=Status.UNKNOWN, reason=reason, since=None)
    reason = f"{name} has not been heard since this gateway began to listen, {waited:.0f} s ago."
    return Part(name=name, status=Status.DOWN, reason=reason, since=listening.began)


def worst(parts: Sequence[Part]) -> Status:
    """How all of it is: as the worst of its parts."""
    return min((part.status for part in parts), key=list(Status).index, default=Status.UNKNOWN)


def summary(parts: Sequence[Part]) -> str:
    """All of it in a sentence."""
    unwell = [f"{part.name} is {part.status}" for part in parts if part.status is not Status.READY]
    if not unwell:
        return "Everything is ready."
    return f"{', '.join(unwell)}; everything else is ready."


def discreet(part: Part) -> Part:
    """What an administrator of a tenant sees of it: what is wrong, not where."""
    reasons = {
        Status.DEGRADED: "It works, but not all of it; the operators see why.",
        Status.UNREADY: "It can do nothing at the moment; the operators see why.",
        Status.DOWN: "It does not answer; the operators see since when, and where.",
        Status.UNKNOWN: "Nothing is known of it at the moment.",
    }
    return Part(
        name=part.name, status=part.status, reason=reasons.get(part.status), since=part.since
    )


def _versions(living: Sequence[Replica]) -> str | None:
    """The build; several during an upgrade, or None where none says it."""
    return ", ".join(sorted({r.said.version for r in living if r.said.version})) or None


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


class Replicas:
    """Who said what when. Two processes of one service are distinguished by what they call themselves."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, UUID | None], Replica] = {}

    def hear(self, service: str, said: ServiceAlive, *, now: float, at: datetime) -> None:
        """A replica said how it is."""
        if said.instance is None:
            # A release before: all its replicas are one, and say nothing when they stop.
            self._heard[service, None] = Replica(service=service, said=said, heard_at=now, heard=at)
            return
        self._heard[service, said.instance] = Replica(
            service=service, said=said, heard_at=now, heard=at
        )

    def of(self, service: str, *, now: float) -> list[Replica]:
        """The service's replicas; those that were taken away are forgotten."""
        found = [key for key in self._heard if key[0] == service]
        lives = any(
            now - self._heard[key].heard_at < SILENT_AFTER
            and self._heard[key].said.condition is not Condition.STOPPED
            for key in found
        )
        for key in found:
            replica = self._heard[key]
            is_stopped = replica.said.condition is Condition.STOPPED
            if lives and (is_stopped or now - replica.heard_at >= FORGOTTEN_AFTER):
                del self._heard[key]
        return [self._heard[key] for key in found if key in self._heard]
