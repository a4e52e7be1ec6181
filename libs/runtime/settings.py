"""Settings: environment to a frozen model, failing at start with a sentence that names the variable.

Every variable starts with HEADWATER_. A service's own settings subclass `ServiceSettings` and add fields with unit,
default and reason. `deploy.local` passes the URLs explicitly, since each service has its own role there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.runtime.nats.address import nats_address


def _checked(url: str) -> str:
    nats_address(url)
    return url


NatsUrl = Annotated[str, AfterValidator(_checked)]
"""A setting with the address of NATS; an invalid one is refused with the expected form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMost:
    """A relation of two settings (fields): `lesser` * `times` + `more` must be at most `greater`."""

    lesser: str
    greater: str
    times: float = 1
    more: int = 0
    why: str
    unless: str | None = None
    """A field; while it is false the relation does not apply."""


class Durations(BaseSettings):
    """Settings whose durations must be above 0. A loop without a pause would be a busy loop. A retention of 0 means
    "for ever" in other products, and would delete everything here. Settings that do not fit each other are refused
    too."""

    may_be_none: ClassVar[frozenset[str]] = frozenset()
    """Fields for which 0 s is allowed."""

    relations: ClassVar[tuple[AtMost, ...]] = ()
    """Relations between settings; those of base classes apply too."""

    @model_validator(mode="after")
    def _check_durations(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if not isinstance(value, timedelta) or value > timedelta(0):
                continue
            if value or name not in self.may_be_none:
                variable = f"{self.model_config['env_prefix']}{name.upper()}"
                msg = f"{variable} must be longer than 0 s, and is {value.total_seconds():g} s"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_relations(self) -> Self:
        for kind in type(self).__mro__:
            wrong = incoherence(kind.__dict__.get("relations", ()), self)
            if wrong is not None:
                raise ValueError(wrong)
        return self


def incoherence(relations: Iterable[AtMost], *settings: BaseSettings) -> str | None:
    """The first relation that does not hold, as a sentence with both variables; None if all do.

    Each name is looked up in the first of `settings` that has it.
    """
    for relation in relations:
        if relation.unless is not None and not _found(relation.unless, settings)[1]:
            continue
        lesser, small = _found(relation.lesser, settings)
        greater, large = _found(relation.greater, settings)
        whole = small * relation.times
        if (whole + relation.more if relation.more else whole) > large:
            times = f" times {relation.times:g}" if relation.times != 1 else ""
            times += f" and {relation.more} more" if relation.more else ""
            return (
                f"{lesser}: {_shown(small)}{times} must be at most {greater}, {_shown(large)}:"
                f" {relation.why}"
            )
    return None


def _found(name: str, settings: Iterable[BaseSettings]) -> tuple[str, Any]:
    owner = next(each for each in settings if hasattr(each, name))
    value: Any = getattr(owner, name)
    return f"{owner.model_config['env_prefix']}{name.upper()}", value


def _shown(value: timedelta | float) -> str:
    return f"{value.total_seconds():g} s" if isinstance(value, timedelta) else f"{value:g}"


class ServiceSettings(Durations):
    """What every service needs: its own PostgreSQL role and the bus."""

    model_config = SettingsConfigDict(env_prefix="HEADWATER_", frozen=True, extra="ignore")

    postgres_url: str = Field(
        description="postgresql://role:password@host:port/database of this service's role"
    )
    postgres_pool_size: int = Field(
        default=6, ge=1, description="connections; a group commit needs one at a time"
    )
    nats_url: NatsUrl = Field(
        description="nats://user:password@host:port, with more nodes of a cluster as ,host:port"
    )
    nats_connect_timeout: timedelta = Field(
        default=timedelta(seconds=30),
        description="how long a start waits for NATS before the process ends with a sentence",
    )
    nats_tls_ca: str | None = Field(default=None, description="CA file when NATS speaks TLS")
    drain_timeout: timedelta = Field(
        default=timedelta(seconds=15), description="how long work in flight may take after SIGTERM"
    )
    rpc_timeout: timedelta = Field(
        default=timedelta(seconds=10), description="below the 15 s after which clients give up"
    )
    alive_every: timedelta = Field(
        default=timedelta(seconds=5),
        description="how often a service reports that it is alive; the heartbeat service needs the reports of gateways",
    )
    health_host: str = Field(
        default="127.0.0.1", description="where /health, /ready and /metrics listen"
    )
    health_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="none: no endpoint, but for the gateway, which then shows them on its public port;"
        " set it wherever strangers reach that",
    )
    traces: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+",
        description="base address of an OTLP/HTTP collector, http://collector:4318; none: no traces"
        " (OTEL_EXPORTER_OTLP_ENDPOINT does as well)",
    )


class PingSettings(ServiceSettings):
    """The definition of silence. Agents get the ping interval from the ledger; the heartbeat service judges by it."""

    heartbeat_interval: timedelta = Field(
        default=timedelta(seconds=30),
        description="how often clients ping (Core's own default)",
    )
    heartbeat_misses: int = Field(
        default=4, ge=1, description="missed pings in a row before a run counts as silent"
    )

    @property
    def heartbeat_silence(self) -> timedelta:
        """How long a live run may be silent: four missed 30-second pings (the founding document)."""
        return self.heartbeat_interval * self.heartbeat_misses


def sentence_of(error: ValidationError) -> str:
    """What is wrong with the settings, with the variable to set."""
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    # Settings with variables of another prefix have it as their title.
    prefix = error.title if error.title.startswith("HEADWATER_") else "HEADWATER_"
    name = prefix + "_".join(str(part) for part in first["loc"]).upper()
    ours = "Value error, "
    wrong = first["msg"]
    wrong = wrong.removeprefix(ours) if wrong.startswith(ours) else wrong.lower()
    if first["type"].startswith("time_delta"):
        wrong = "input should be a duration such as PT30S or 00:00:30"
    return f"{name}: {wrong}; set this variable and start again."
