"""`system_health`: every service and engine as a person sees them (`services.gateway.health`)."""

from dataclasses import dataclass
from datetime import datetime

import strawberry

from services.gateway.context import Context
from services.gateway.health.domain import Part


@strawberry.type(name="system_part")
@dataclass
class SystemPart:
    """A service or engine: ready, degraded, unready, down or unknown; `reason` is a sentence, null where all is well.

    Operators also see the version, and how many replicas were heard of.
    """

    name: str
    status: str
    reason: str | None
    since: datetime | None
    version: str | None
    replicas: int | None


@strawberry.type(name="system_health")
@dataclass
class SystemHealth:
    """All of it: as the worst of its parts, and in a sentence. `detailed` is false in the short form."""

    status: str
    sentence: str
    at: datetime
    detailed: bool
    services: list[SystemPart]
    engines: list[SystemPart]


async def read(context: Context) -> SystemHealth:
    """The short form for administrators of tenants, all of it where keys are off."""
    detailed = context.identity.any_tenant
    report = await context.shared.board.report()
    shown = report if detailed else report.discreet()
    return SystemHealth(
        status=shown.status,
        sentence=shown.sentence,
        at=shown.at,
        detailed=detailed,
        services=[_part(part, detailed=detailed) for part in shown.services],
        engines=[_part(part, detailed=detailed) for part in shown.engines],
    )


def _part(part: Part, *, detailed: bool) -> SystemPart:
    return SystemPart(
        name=part.name,
        status=part.status,
        reason=part.reason,
        since=part.since,
        version=part.version,
        replicas=len(part.replicas) if detailed and part.replicas else None,
    )
