"""When an SLA is broken."""

import pytest

from libs.contracts.automations import SlaKind
from libs.contracts.states import FINISHED_FAMILY, State
from services.automations.domain.chains import MOST_CAUSES, continued, is_loop
from services.automations.domain.slas import LONGEST, Verdict, fault_of_duration, verdict

NOT_STARTED = {"Scheduled", "Paused", "Queued", "Resume", "Retrying"}


@pytest.mark.parametrize("state", list(State))
def test_a_run_is_late_only_while_it_waits_to_start(state: State) -> None:
    decided = verdict(SlaKind.SCHEDULED_NOT_STARTED, state=state, attempt=1, current_attempt=1)

    assert decided is (Verdict.BROKEN if state in NOT_STARTED else Verdict.MET)


@pytest.mark.parametrize("state", list(State))
def test_a_run_takes_too_long_only_until_it_has_finished(state: State) -> None:
    decided = verdict(SlaKind.STARTED_NOT_FINISHED, state=state, attempt=1, current_attempt=1)

    assert decided is (Verdict.MET if state in FINISHED_FAMILY else Verdict.BROKEN)


@pytest.mark.parametrize("kind", list(SlaKind))
def test_a_deadline_of_an_earlier_attempt_counts_no_more(kind: SlaKind) -> None:
    assert verdict(kind, state="Scheduled", attempt=1, current_attempt=4) is Verdict.MET


@pytest.mark.parametrize(
    ("seconds", "is_good"),
    [(-5, False), (0, False), (1, True), (LONGEST, True), (LONGEST + 1, False)],
)
def test_an_sla_is_from_a_second_to_a_year(seconds: int, is_good: bool) -> None:
    assert (fault_of_duration(seconds) is None) is is_good


def test_a_chain_of_automations_stops_at_three_for_actions_on_runs_only() -> None:
    chain = [str(number) for number in range(MOST_CAUSES)]

    assert not is_loop(chain[:-1], "CreateFlowRunAction")
    assert is_loop(chain, "CreateFlowRunAction")
    assert not is_loop(chain, "SlackNotificationAction")
    assert continued([], None) == []
