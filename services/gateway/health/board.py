"""What this gateway knows of every service and engine: it hears the services, and looks at the engines by itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from libs.contracts.alive import ServiceAlive
from libs.contracts.services import SERVICES
from libs.runtime import metrics
from libs.runtime.bus import Bus
from libs.runtime.clock import Clock
from libs.runtime.database import Database
from services.gateway.health import engines
from services.gateway.health.domain import (
    Listening,
    Part,
    Replicas,
    Status,
    discreet,
    judge,
    summary,
    worst,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it at one time."""

    at: datetime
    services: tuple[Part, ...]
    engines: tuple[Part, ...]

    @property
    def status(self) -> Status:
        """The worst of its parts. A disk that nobody can see from here is no fault."""
        seen = [p for p in self.engines if p.status is not Status.UNKNOWN]
        return worst([*self.services, *seen])

    @property
    def sentence(self) -> str:
        """All of it in a sentence."""
        seen = [p for p in self.engines if p.status is not Status.UNKNOWN]
        return summary([*self.services, *seen])

    def discreet(self) -> "Report":
        """What an administrator of a tenant sees."""
        return replace(
            self,
            services=tuple(discreet(part) for part in self.services),
            engines=tuple(discreet(part) for part in self.engines),
        )


class Board:
    """Keeps what was heard and found; `tick` looks at the engines."""

    def __init__(
        self, database: Database, bus: Bus, *, folder: Path | None, clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:  # fmt: skip
        self._database = database
        self._bus = bus
        self._folder = folder
        self._clock = clock
        self._monotonic = monotonic
        self._replicas = Replicas()
        self._engines: dict[str, Part] = {}
        self._listening: Listening | None = None

    def hear(self, service: str, said: ServiceAlive) -> None:
        """A replica said how it is. Only what is a service of ours is kept."""
        if service in SERVICES:
            self._replicas.hear(service, said, now=self._monotonic(), at=self._clock())

    async def tick(self) -> int:
        """Look at the engines; how many are not ready."""
        self._listen()
        found = {
            "postgresql": await engines.postgres(self._database, self._monotonic),
            "nats": engines.nats(self._bus),
            "disk": engines.disk(self._folder),
        }
        for name, (status, reason, version, facts) in found.items():
            before = self._engines.get(name)
            since = before.since if before and before.status is status else self._clock()
            self._engines[name] = Part(
                name=name, status=status, reason=reason, since=since, version=version, facts=facts
            )
        metrics.DISK_LOW.labels("data").set(found["disk"][0] is Status.DEGRADED)
        metrics.DISK_LOW.labels("postgresql").set(self._database.disk_was_full())
        return sum(part.status is not Status.READY for part in self._engines.values())

    def _listen(self) -> Listening:
        """A connection that was lost heard nobody: listening begins anew when it is back."""
        before, connected = self._listening, self._bus.connected
        if before is None or (connected and not before.connected):
            before = Listening(since=self._monotonic(), began=self._clock(), connected=connected)
        self._listening = replace(before, connected=connected)
        return self._listening

    async def report(self) -> Report:
        """All of it now; engines as they were found last, some seconds ago at the most."""
        if not self._engines:
            await self.tick()
        listening = self._listen()
        now, at = self._monotonic(), self._clock()
        return Report(
            at=at,
            services=tuple(
                judge(name, self._replicas.of(name, now=now), listening, now=now, at=at)
                for name in SERVICES
            ),
            engines=tuple(self._engines.values()),
        )


def as_json(report: Report) -> dict[str, Any]:
    """The report for scripts and for people with a browser at the health port."""
    return {
        "status": report.status,
        "sentence": report.sentence,
        "at": report.at.isoformat(),
        "services": [_part(part) for part in report.services],
        "engines": [_part(part) for part in report.engines],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "status": part.status,
        "reason": part.reason,
        "since": part.since.isoformat() if part.since else None,
        "version": part.version,
        **part.facts,
        "replicas": [
            {
                "instance": None if r.said.instance is None else str(r.said.instance),
                "condition": r.said.condition,
                "reasons": r.said.reasons,
                "since": r.said.since.isoformat() if r.said.since else None,
                "started_at": r.said.started_at.isoformat() if r.said.started_at else None,
                "version": r.said.version,
                "heard": r.heard.isoformat(),
            }
            for r in part.replicas
        ],
    }
