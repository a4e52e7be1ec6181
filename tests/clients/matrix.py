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
class Scenario:
    """Something that users do. `since` is the first generation that can; `why` says what the older ones lack."""

    name: str
    since: str = "0.8.1"
    why: str = ""
    only: Mode | None = None
    """The mode that has it, with the reason in `why`."""
    in_suite: bool = True
    """Whether the compact story has it, too; what costs further runs is left to `make test-clients`."""

    def absence(self, cell: Cell) -> str | None:
        """Why this cell lacks the scenario; None when it has it."""
        older = cell.number < tuple(int(part) for part in self.since.split("."))
        if older or (self.only is not None and cell.mode is not self.only):
            return self.why
        return None


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

SCENARIOS = [
    Scenario(name="projects"),
    Scenario(name="registration"),
    Scenario(name="versions"),
    Scenario(
        name="idempotent_registration",
        since="0.13.19",
        why="flow.register takes an idempotency key since 0.13",
    ),
    Scenario(
        name="script_storage", since="0.12.6", why="Local storage keeps scripts since 0.12"
    ),
    Scenario(name="module_storage", since="0.14.22", why="Module storage came with 0.14"),
    Scenario(name="success"),
    Scenario(name="failure"),
    Scenario(name="mapped"),
    Scenario(name="retries"),
    Scenario(name="scheduled"),
    Scenario(name="cancellation"),
    Scenario(name="idempotent_runs"),
    Scenario(name="logs"),
    Scenario(name="secrets"),
    Scenario(
        name="key_values",
        since="0.14.22",
        why="the key-value store came with 0.14, for Cloud",
        only=Mode.CLOUD,
    ),
    Scenario(name="artifacts", since="0.13.19", why="artifacts came with 0.13"),
    Scenario(name="version_locking"),
    Scenario(name="stale_write"),
    Scenario(name="heartbeats_off"),
    Scenario(name="lazarus", in_suite=False),
    Scenario(
        name="wait_for_flow_run",
        since="0.12.6",
        why="no task of 0.8 or 0.9 waits for another flow's run",
        in_suite=False,
    ),
    Scenario(name="tenants"),
    Scenario(name="views", since="0.15.13", why="prefect.backend has views since 0.15"),
    Scenario(name="cli_get"),
    Scenario(name="cli_describe"),
    Scenario(name="cli_create"),
    Scenario(name="cli_delete", since="0.13.19", why="`prefect delete` came with 0.13"),
    Scenario(name="cli_register", since="0.12.6", why="`prefect register` came with 0.12"),
    Scenario(name="cli_heartbeat", since="0.9.8", why="0.8 beats in threads, by no command"),
    Scenario(name="cli_agent"),
    Scenario(
        name="cli_key_values",
        since="0.14.22",
        why="the key-value store came with 0.14, for Cloud",
        only=Mode.CLOUD,
    ),
    Scenario(name="cli_run", in_suite=False),
]
"""By the name of the function in test_matrix.py that looks at the outcome."""
