"""The tables of PROTOCOL.md have the values that the server and the agent use."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from libs.agent import environment, wire
from libs.agent.environment import Surroundings
from libs.contracts.agents import Outcome
from libs.contracts.errors import Code
from libs.contracts.heartbeat import SILENCE
from libs.contracts.states import State
from libs.runtime.settings import ServiceSettings
from services.runs.dispatch import lines, verbs
from services.runs.dispatch.domain import Requeued, end_of_process
from services.runs.dispatch.settings import DispatchSettings
from services.runs.domain import line_rate
from tests.unit.runs.dispatch.test_domain import NOW, a_run

PAGE = (Path(wire.__file__).parent / "PROTOCOL.md").read_text()
DISPATCH = "HEADWATER_DISPATCH_"


def table(title: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


NUMBERS = {what: (value, setting.strip("` |")) for what, value, setting in (
    (row[0], row[1], row[2] if len(row) > 2 else "") for row in table("Numbers")
)}  # fmt: skip


def seconds_of(value: timedelta | int) -> str:
    return str(value if isinstance(value, int) else int(value.total_seconds()))


@pytest.mark.parametrize(
    ("value", "setting"),
    [(v, s) for v, s in NUMBERS.values() if s.startswith(DISPATCH)],
)
def test_a_number_is_the_default_of_the_setting_that_it_names(value: str, setting: str) -> None:
    field = DispatchSettings.model_fields[setting.removeprefix(DISPATCH).lower()]

    assert value == seconds_of(field.default)


def test_numbers_of_other_settings_are_their_defaults() -> None:
    others = {s: v for v, s in NUMBERS.values() if s and not s.startswith(DISPATCH)}

    assert others == {
        "HEADWATER_HEARTBEAT_SILENCE": seconds_of(SILENCE),
        "HEADWATER_RPC_TIMEOUT": seconds_of(ServiceSettings.model_fields["rpc_timeout"].default),
    }


def test_numbers_without_a_setting_are_the_code_s_bounds() -> None:
    assert {what: value for what, (value, setting) in NUMBERS.items() if not setting} == {
        "pause after the first, second, third and fourth failed start": ", ".join(pauses()),
        "largest `capacity`": str(verbs.CAPACITY_LIMIT),
        "most labels of an agent": str(verbs.LABELS_LIMIT),
        "largest `wait` that is accepted": str(int(verbs.WAIT_LIMIT)),
        "one message of log lines": f"{lines.LARGEST >> 20} MiB",
        "log lines of a tenant, for long": f"{line_rate.RATE >> 20} MiB/s",
        "log lines of a tenant, at once": f"{line_rate.BURST >> 20} MiB",
    }


def pauses() -> list[str]:
    found = []
    for attempt in range(1, 5):
        ending = end_of_process(
            a_run(state=State.SUBMITTED, attempt=attempt),
            Outcome.EXITED, exit_code=1, message=None, attempts=5, now=NOW,
        )  # fmt: skip
        assert isinstance(ending, Requeued)
        assert ending.moved.state.start_time is not None
        found.append(seconds_of(ending.moved.state.start_time - NOW))
    return found


def test_the_environment_is_that_of_headwater_agent() -> None:
    run = wire.ClaimedRun(
        flow_run_id=UUID(int=1), lease_token=UUID(int=2), flow_id=UUID(int=3),
        attempt=1, lease=5.0, name="quick-fox", flow_name="etl",
    )  # fmt: skip
    set_by_agent: set[str] = set()
    for version in ((0, 9), (0, 14), (1, 4, 1)):
        for key in (None, "hw_key"):
            given = Surroundings(
                api_url="http://h:4200", labels=("etl",), api_key=key, tenant_id=UUID(int=4)
            )
            set_by_agent |= environment.variables(
                run, given, inherited={}, here=Path("/"), prefect=version
            ).keys()
    preferred = {
        "PREFECT__LOGGING__LEVEL",
        "PREFECT__LOGGING__FORMAT",
        "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS",
        "PYTHONPATH",
    }

    assert {row[0].strip("`") for row in table("Starting a run")} == set_by_agent - preferred


def test_every_code_in_the_table_of_refusals_is_one() -> None:
    codes = {row[0].strip("`") for row in table("Refusals")}

    assert codes == {
        Code.INVALID, Code.TENANT_INVALID, Code.LEASE_LOST, Code.BUSY, Code.UNAVAILABLE,
        Code.INTERNAL,
    }  # fmt: skip
