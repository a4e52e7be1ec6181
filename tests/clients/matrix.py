"""Generations, modes and scenarios: which cells there are, and why a generation lacks what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GENERATIONS = ("1.4.1", "0.15.13", "0.14.22", "0.13.19", "0.12.6", "0.9.8", "0.8.1")


class Mode(StrEnum):
    """How a client meets Headwater: in place of Prefect Server, or of Prefect Cloud with keys required."""

    SERVER = "server"
    CLOUD = "cloud"


@dataclass(frozen=True, slots=True)
class Cell:
    """One generation in one mode."""

    version: str
    mode: Mode

    @property
    def name(self) -> str:
        """As tests and labels call it."""
        return f"{self.version}-{self.mode}"

    @property
    def number(self) -> tuple[int, ...]:
        """The version, to compare."""
        return tuple(int(part) for part in self.version.split("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Why some cells have no such thing: those `below` one version, `since` one, in one `mode`; all given must hold."""

    why: str
    below: tuple[int, ...] | None = None
    since: tuple[int, ...] | None = None
    mode: Mode | None = None

    def covers(self, cell: Cell) -> bool:
        """Whether the cell is one of them."""
        return (
            (self.below is None or cell.number < self.below)
            and (self.since is None or cell.number >= self.since)
            and (self.mode is None or cell.mode is self.mode)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Something that users do."""

    name: str
    lacks: tuple[Lack, ...] = ()
    in_suite: bool = True
    """Whether the compact story has it, too; what costs further runs is left to `make test-clients`."""

    def absence(self, cell: Cell) -> str | None:
        """Why this cell lacks the scenario; None when it has it."""
        return next((lack.why for lack in self.lacks if lack.covers(cell)), None)


NO_SERVER = "Core before 0.10 knows Cloud only"
CELLS = [
    Cell(version, mode)
    for version in GENERATIONS
    for mode in Mode
    if mode is Mode.CLOUD or version not in {"0.9.8", "0.8.1"}  # NO_SERVER
]

IN_SUITE = [
    Cell("1.4.1", Mode.CLOUD),
    Cell("0.15.13", Mode.SERVER),
    Cell("0.12.6", Mode.SERVER),
    Cell("0.8.1", Mode.CLOUD),
]
"""Both dialects, keys and tokens, with and without projects."""

NO_KEY_VALUES = (
    Lack(why="the key-value store came with 0.14", below=(0, 14)),
    Lack(why="the client refuses to use the key-value store of a Server", mode=Mode.SERVER),
)

SCENARIOS = [
    Scenario(name="projects"),
    Scenario(name="registration"),
    Scenario(name="versions"),
    Scenario(
        name="idempotent_registration",
        lacks=(Lack(why="flow.register takes an idempotency key since 0.13", below=(0, 13)),),
    ),
    Scenario(
        name="script_storage",
        lacks=(Lack(why="Local storage keeps scripts since 0.12", below=(0, 12)),),
    ),
    Scenario(
        name="module_storage", lacks=(Lack(why="Module storage came with 0.14", below=(0, 14)),)
    ),
    Scenario(name="success"),
    Scenario(name="failure"),
    Scenario(name="mapped"),
    Scenario(name="retries"),
    Scenario(name="scheduled"),
    Scenario(name="cancellation"),
    Scenario(name="idempotent_runs"),
    Scenario(name="logs"),
    Scenario(
        name="secrets",
        lacks=(
            Lack(
                why="since 0.14 the client reads a Server's secrets from its own configuration",
                since=(0, 14),
                mode=Mode.SERVER,
            ),
        ),
    ),
    Scenario(name="key_values", lacks=NO_KEY_VALUES),
    Scenario(name="artifacts", lacks=(Lack(why="artifacts came with 0.13", below=(0, 13)),)),
    Scenario(name="version_locking"),
    Scenario(name="stale_write"),
    Scenario(name="heartbeats_off"),
    Scenario(name="lazarus", in_suite=False),
    Scenario(name="task_limits", in_suite=False),
    Scenario(
        name="wait_for_flow_run",
        lacks=(Lack(why="no task before 0.12 waits for another flow's run", below=(0, 12)),),
        in_suite=False,
    ),
    Scenario(name="tenants"),
    Scenario(
        name="views", lacks=(Lack(why="prefect.backend has views since 0.15", below=(0, 15)),)
    ),
    Scenario(name="cli_get"),
    Scenario(name="cli_describe"),
    Scenario(name="cli_create"),
    Scenario(
        name="cli_delete", lacks=(Lack(why="`prefect delete` came with 0.13", below=(0, 13)),)
    ),
    Scenario(
        name="cli_register", lacks=(Lack(why="`prefect register` came with 0.12", below=(0, 12)),)
    ),
    Scenario(
        name="cli_heartbeat",
        lacks=(Lack(why="0.8 beats in threads, by no command", below=(0, 9)),),
    ),
    Scenario(name="cli_agent"),
    Scenario(name="cli_key_values", lacks=NO_KEY_VALUES),
    Scenario(name="cli_run", in_suite=False),
    Scenario(
        name="cli_auth",
        lacks=(Lack(why="a Server asks nobody to log in", mode=Mode.SERVER),),
        in_suite=False,
    ),
]
"""By the name of the function in scenarios.py that looks at the outcome."""
